-- Tasks that wait outside of any session: for a time, for other tasks, or for their next repetition. A row is there before
-- anybody is told, and is moved on by compare-and-set only, because whoever sees to it may die at any moment.

-- `session_id` is the session that it is for, or the one that its last run was given. `rank` is its priority, 0 first.
-- `unmet` counts dependencies that are not completed. `run` is the run that is under way: what it says is the same however
-- often the run is handed over. `end_status` is how it is to end; its session is told first.
create table scheduled_tasks (
  tenant text not null,
  id text not null,
  owner text not null,
  idem_key text,
  body_hash text not null,
  session_id text,
  is_spawn boolean not null,
  task_id text not null,
  request json not null,
  rank int not null check (rank between 0 and 3),
  cron text,
  timezone text,
  max_runs int,
  until timestamptz,
  due_at timestamptz not null,
  unmet int not null default 0 check (unmet >= 0),
  runs int not null default 0,
  missed int not null default 0,
  run json,
  status text not null default 'waiting' check (status in ('waiting', 'released', 'finished', 'failed', 'cancelled')),
  cancel_requested boolean not null default false,
  end_status text check (end_status in ('failed', 'cancelled')),
  end_code text,
  end_error text,
  failures int not null default 0,
  watcher text,
  watched_until timestamptz,
  created_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (tenant, id)
);
create unique index scheduled_tasks_once on scheduled_tasks (tenant, owner, idem_key) where idem_key is not null;
create index scheduled_tasks_due on scheduled_tasks (due_at) where status = 'waiting' and unmet = 0;
create index scheduled_tasks_waiting on scheduled_tasks (tenant) where status = 'waiting';
create index scheduled_tasks_by_task on scheduled_tasks (tenant, task_id);
create index scheduled_tasks_ended on scheduled_tasks (ended_at) where ended_at is not null;

-- What a scheduled task waits for: the task of a session, or another scheduled task, whose session may not exist yet.
create table task_dependencies (
  tenant text not null,
  waiter text not null,
  position int not null,
  task_id text not null,
  session_id text,
  schedule_id text,
  status text not null default 'pending' check (status in ('pending', 'completed', 'failed', 'cancelled')),
  look_at timestamptz not null default now(),
  since timestamptz not null default now(),
  primary key (tenant, waiter, position),
  foreign key (tenant, waiter) references scheduled_tasks on delete cascade
);
create index task_dependencies_due on task_dependencies (look_at) where status = 'pending';
create index task_dependencies_by_task on task_dependencies (session_id, task_id) where status = 'pending';

-- Ends of tasks that never began, and therefore have no turn: cancelled while they waited, or set aside.
create table unbegun_task_ends (
  session_id text not null,
  task_id text not null,
  status text not null check (status in ('failed', 'cancelled')),
  at timestamptz not null,
  primary key (session_id, task_id)
);
