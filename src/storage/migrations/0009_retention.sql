-- Sessions whose events were removed after their time, so that nobody looks for them again.
alter table sessions add column purged boolean not null default false;
