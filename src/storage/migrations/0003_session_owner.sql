-- Whose a session is within its tenant: a user sees only what it spawned itself. Sessions from before belong to the subject
-- that has the tenant's name, which is who spawned them wherever tokens name no tenant.
alter table sessions add column owner text;
update sessions set owner = tenant;
alter table sessions alter column owner set not null;
create index sessions_by_owner on sessions (tenant, owner, created_at desc, id desc);
