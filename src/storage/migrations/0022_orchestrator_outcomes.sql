-- How the last attempts at an orchestrator ended, for whoever decides whether it gets more: at most 20 times each, oldest first.
alter table federation_orchestrators
  add column succeeded_at timestamptz[] not null default '{}',
  add column failed_at timestamptz[] not null default '{}';
