-- Budgets. `budget_ledger` has one row for each model call that was settled: from it counts are rebuilt that Redis has lost,
-- and usage is reported. `budget_overrides` holds limits that somebody set for a while; nothing in it is changed but the
-- time of revocation, so that it also tells who allowed what, and why.
create table budget_ledger (
  -- session:turn:step:attempt
  step_id text primary key,
  -- By the clock that decides which windows a call counts in: that of Redis, where there is one.
  at timestamptz not null,
  tenant text not null,
  orchestrator_id text not null,
  session_id text not null,
  model text not null,
  -- Tools that the answer asked for.
  tools text[] not null,
  prompt_tokens bigint not null,
  cached_tokens bigint not null,
  completion_tokens bigint not null,
  tokens bigint not null generated always as (prompt_tokens + completion_tokens) stored,
  cost numeric not null
);
create index budget_ledger_by_orchestrator on budget_ledger (tenant, orchestrator_id, at) include (tokens);
create index budget_ledger_by_tenant on budget_ledger (tenant, at) include (tokens);
create index budget_ledger_by_session on budget_ledger (session_id) include (tokens);
create index budget_ledger_by_time on budget_ledger (at);

create table budget_overrides (
  id bigint generated always as identity primary key,
  tenant text not null,
  scope text not null check (scope in ('session', 'orchestrator', 'tenant')),
  scope_id text not null,
  period text not null check (period in ('hourly', 'daily', 'weekly', 'monthly', 'session')),
  tokens bigint not null check (tokens > 0),
  reason text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_by text,
  revoked_at timestamptz,
  check ((scope = 'session') = (period = 'session')),
  check ((revoked_by is null) = (revoked_at is null))
);
create index budget_overrides_by_tenant on budget_overrides (tenant, id);
