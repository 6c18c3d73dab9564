-- Orchestrators that work together: who is there and what they can do, tasks that one gives another, what they know
-- together, and what they tell each other. Every table begins with the tenant: nobody sees another tenant's. A delegation
-- is a row from its first moment to its result, because whoever asked for it or watches it may die.

-- `active_sessions` and `tokens_used` are as of the last heartbeat.
create table federation_orchestrators (
  tenant text not null,
  id text not null,
  capabilities text[] not null,
  region text,
  tier int not null check (tier between 1 and 5),
  session_type text not null,
  groups text[] not null,
  max_sessions int not null check (max_sessions > 0),
  max_tokens bigint check (max_tokens > 0),
  active_sessions int not null default 0 check (active_sessions >= 0),
  tokens_used bigint not null default 0 check (tokens_used >= 0),
  registered_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  primary key (tenant, id)
);
create index federation_orchestrators_by_heartbeat on federation_orchestrators (heartbeat_at);

-- `target`, `session_type` and `reused` stand while an attempt is under way, so that whoever comes back to it asks for the
-- very same; `reused` says that `session_id` was there before. `attempt` counts attempts that were started, `failures` everything that
-- came to nothing. `watcher` sees to the row until `watched_until`; then anybody may.
create table federation_delegations (
  tenant text not null,
  id text not null,
  owner text not null,
  body_hash text not null,
  request json not null,
  from_orchestrator text not null,
  status text not null default 'pending' check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
  target text,
  session_id text,
  session_type text,
  reused boolean not null default false,
  attempt int not null default 0,
  failures int not null default 0,
  tried text[] not null default '{}',
  not_before timestamptz not null default now(),
  deadline timestamptz not null,
  cancel_requested boolean not null default false,
  watcher text,
  watched_until timestamptz,
  result json,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (tenant, id),
  check ((ended_at is not null) = (status in ('completed', 'failed', 'cancelled'))),
  check ((ended_at is not null) = (result is not null))
);
create index federation_delegations_open on federation_delegations (not_before) where ended_at is null;
create index federation_delegations_by_target on federation_delegations (tenant, target) where ended_at is null;
create index federation_delegations_ended on federation_delegations (ended_at) where ended_at is not null;

create table federation_context (
  tenant text not null,
  group_name text not null,
  key text not null,
  version bigint not null check (version > 0),
  value json not null,
  updated_by text not null,
  updated_at timestamptz not null default now(),
  primary key (tenant, group_name, key)
);

-- One row for each receiver of a broadcast.
create table federation_inbox (
  tenant text not null,
  orchestrator text not null,
  broadcast text not null,
  sender text not null,
  body json not null,
  sent_at timestamptz not null default now(),
  expires_at timestamptz not null,
  acknowledged_at timestamptz,
  primary key (tenant, orchestrator, broadcast)
);
create index federation_inbox_by_broadcast on federation_inbox (tenant, broadcast);
create index federation_inbox_by_expiry on federation_inbox (expires_at);
