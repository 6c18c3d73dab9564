-- Tool calls that wait for a person: the authority on what was decided, because a decision must outlive every worker and
-- every edge, and must be made once. `request_hash` is of tool and input: an agent that is started anew asks under another
-- call id for the same.
create table approvals (
  id text primary key,
  tenant text not null,
  session_id text not null,
  command_id text not null,
  call_id text not null,
  tool text not null,
  request_hash text not null,
  input json not null,
  reason text not null,
  rule text not null,
  level text not null check (level in ('confirm', 'escalate')),
  state text not null default 'pending' check (state in ('pending', 'approved', 'rejected', 'expired', 'cancelled')),
  requested_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  decided_at timestamptz(3),
  decided_by text,
  comment text,
  -- The command that decided: sent again, it finds that it has.
  decision_id text,
  check ((decided_at is null) = (state = 'pending')),
  unique (session_id, command_id, call_id)
);
create index approvals_pending on approvals (tenant, session_id) where state = 'pending';

-- Who did what that somebody may ask about later. Rows are only added.
create table audit_log (
  id bigint primary key generated always as identity,
  at timestamptz(3) not null default now(),
  tenant text not null,
  -- The subject of a credential, or the part of the service that acted.
  actor text not null,
  action text not null,
  session_id text,
  -- What it was done to.
  subject text not null,
  detail json not null
);
create index audit_log_by_tenant on audit_log (tenant, at desc, id desc);
