-- What a session remembers stands under the profile that it was spawned with: the projection, which writes most of it, must
-- know the name without looking into the spawn's JSON, parts of which the database refuses to read.
alter table sessions add column memory_profile text;
