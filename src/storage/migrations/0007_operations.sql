-- What operators and background jobs need. `cluster_requests` holds what somebody asked of the leader from a command
-- line: durable, so that a leader that falls is followed by one that knows of it. `usage_hourly` holds what tasks cost, by
-- the hour in which they ended, so that a question about a month need not read a month of steps.
create table cluster_requests (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('move', 'rebalance')),
  shard int check (shard between 0 and 4095),
  target text,
  state text not null default 'waiting' check (state in ('waiting', 'done', 'refused')),
  -- A sentence for whoever asked.
  outcome text,
  requested_at timestamptz not null default now(),
  ended_at timestamptz,
  -- Until then a shard that was moved on request is not moved away by the balance.
  held_until timestamptz,
  check ((kind = 'move') = (shard is not null and target is not null)),
  check ((ended_at is not null) = (state <> 'waiting'))
);
create index cluster_requests_open on cluster_requests (id) where state = 'waiting';
create index cluster_requests_held on cluster_requests (held_until) where held_until is not null;

-- The model of a model call, which only its event told before; '' for tools and for calls from before this column.
alter table steps add column model text not null default '';
create index tasks_by_end on tasks (ended_at) where ended_at is not null;

-- One row for each model that took part in turns which ended in this hour; '' stands for turns without a model call.
create table usage_hourly (
  hour timestamptz not null,
  tenant text not null,
  orchestrator_id text not null,
  session_type text not null,
  model text not null,
  turns bigint not null,
  calls bigint not null,
  tokens bigint not null,
  cost numeric not null,
  primary key (hour, tenant, orchestrator_id, session_type, model)
);
