-- The whole durable state of a cluster: who owns what (the authority that Redis only copies), every session with its
-- events, and what is derived from them for people to look at. Two rules run through it. Text that was sent or logged is
-- kept byte by byte, so it is `json`, never `jsonb`: `jsonb` reorders keys and refuses \u0000, and one such character
-- must not stop the projection of a shard. And the hot path pays for nothing it does not read: `events`, `tasks` and
-- `steps` have no foreign key to `sessions`, because their only writer takes the ids from rows that exist.

-- What all nodes must agree on; written once by the first of them.
create table cluster_config (
  singleton boolean primary key default true check (singleton),
  shards int not null check (shards between 1 and 4096),
  lanes int not null check (lanes > 0),
  layout int not null check (layout > 0)
);

-- The coordinator that leads, judged by now().
create table leader (
  singleton boolean primary key default true check (singleton),
  term bigint not null check (term > 0),
  holder text not null,
  expires_at timestamptz not null
);

-- Every process that ever joined; an id is a name and a random incarnation, and is never used twice.
create table nodes (
  id text primary key,
  name text not null,
  role text not null check (role in ('edge', 'worker', 'coordinator', 'all')),
  version text not null,
  capacity int not null check (capacity >= 0),
  status text not null default 'live' check (status in ('live', 'draining', 'left', 'dead')),
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  check ((ended_at is not null) = (status in ('left', 'dead')))
);
create index nodes_live on nodes (id) where status in ('live', 'draining');
create index nodes_by_start on nodes (started_at desc);

-- The authority on ownership. `epoch` rises with every new owner and fences the ones before.
create table shard_assignments (
  shard int primary key check (shard between 0 and 4095),
  owner text,
  epoch bigint not null default 0 check (epoch >= 0),
  state text not null default 'released' check (state in ('assigned', 'releasing', 'released')),
  previous_owner text,
  changed_at timestamptz not null default now(),
  pins jsonb not null default '{}',
  check (owner is not null or state = 'released')
);
create index shard_assignments_by_owner on shard_assignments (owner);

-- Whose projections of a shard are still taken; `pos` counts the events taken.
create table shard_projection (
  shard int primary key,
  epoch bigint not null,
  pos bigint not null default 0
);

create table sessions (
  id text primary key,
  shard int not null check (shard between 0 and 4095),
  tenant text not null,
  orchestrator_id text not null,
  type text not null,
  status text not null check (status in ('initializing', 'active', 'paused', 'completed', 'terminated', 'failed')),
  idem_key text,
  body_hash text not null,
  spawn json not null,
  submitted boolean not null default false,
  snapshot json,
  -- The last event that `tasks` and `steps` were derived from: an event that is projected again must not count twice.
  derived_epoch bigint not null default 0,
  derived_seq bigint not null default 0,
  -- Milliseconds, because a page cursor carries this time through a JavaScript date.
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz not null default now(),
  unique (tenant, idem_key)
-- Every projection rewrites rows of this table: with room in their page it touches no index.
) with (fillfactor = 50);
create index sessions_by_tenant on sessions (tenant, created_at desc, id desc);
create index sessions_unsubmitted on sessions (shard, created_at) where not submitted;

create table events (
  session_id text not null,
  epoch bigint not null,
  seq bigint not null,
  type text not null,
  body json not null,
  at timestamptz not null,
  primary key (session_id, epoch, seq)
);

-- One row per turn: clients may reuse a task id, a turn number never repeats.
create table tasks (
  session_id text not null,
  task_id text not null,
  turn int not null check (turn > 0),
  status text not null check (status in ('in_progress', 'completed', 'failed', 'cancelled')),
  body json not null,
  error text,
  prompt_tokens int not null default 0,
  completion_tokens int not null default 0,
  cost numeric not null default 0,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (session_id, turn)
);

-- `ref` is the message id of a model call or the call id of a tool call. A vendor's call ids may repeat in another turn.
create table steps (
  session_id text not null,
  turn int not null check (turn > 0),
  step int not null check (step > 0),
  kind text not null check (kind in ('model', 'tool')),
  ref text not null,
  effect text,
  attempt int not null,
  status text not null check (status in ('started', 'completed', 'failed')),
  tokens int not null default 0,
  cost numeric not null default 0,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (session_id, turn, ref)
);

-- Commands set aside because they brought down every worker that tried them.
create table dead_letters (
  id text primary key,
  session_id text not null,
  tenant text not null,
  command json not null,
  attempts int not null,
  reason text not null,
  at timestamptz(3) not null default now()
);
create index dead_letters_by_tenant on dead_letters (tenant, at desc, id desc);

-- Files of sessions, stored once per content.
create table workspace_blobs (
  hash text primary key check (hash ~ '^[0-9a-f]{64}$'),
  bytes bytea not null,
  size int not null check (size = octet_length(bytes))
);
create table workspace_files (
  session_id text not null,
  path text not null check (path <> '' and path !~ '(^/|(^|/)\.\.(/|$))'),
  hash text not null references workspace_blobs,
  mode int not null,
  changed_at timestamptz not null default now(),
  primary key (session_id, path)
);
create index workspace_files_by_hash on workspace_files (hash);
