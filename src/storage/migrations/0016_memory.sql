-- What agents remember: notes of a session, what happened in sessions, and what is true. A holder (tenant and owner) sees
-- its own items only, so every index that finds items by their words begins with the holder: its mark is one of the words.
create table memory_items (
  id text primary key,
  tenant text not null,
  owner text not null,
  orchestrator_id text not null,
  session_id text,
  tier text not null check (tier in ('scratchpad', 'episodic', 'semantic')),
  kind text not null check (kind in ('interaction', 'observation', 'decision', 'knowledge')),
  namespace text not null,
  key text,
  -- Hash of what makes two items the same: their place where they have a key, their source event, else their text.
  identity text not null,
  content_hash text not null,
  content text not null,
  tags text[] not null default '{}',
  metadata json not null default '{}',
  words tsvector not null,
  word_count int not null check (word_count >= 0),
  bytes int not null check (bytes >= 0),
  valid_from timestamptz(3) not null,
  -- Set when something else became true in its place.
  valid_to timestamptz(3),
  expires_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  check (valid_to is null or valid_to >= valid_from)
);
create unique index memory_items_current on memory_items (tenant, owner, identity) where valid_to is null;
create index memory_items_words on memory_items using gin (words) with (fastupdate = off)
  where valid_to is null;
create index memory_items_by_holder on memory_items (tenant, owner, tier, valid_from desc) include (word_count)
  where valid_to is null;
create index memory_items_former on memory_items (tenant, owner, identity, valid_to desc) where valid_to is not null;
create index memory_items_by_session on memory_items (session_id) where session_id is not null;
create index memory_items_expiring on memory_items (expires_at) where expires_at is not null;

-- Where an item comes from. `ref` names a step of the session (`task:<turn>`, `message:<id>`, `call:<id>`), the event is
-- where it stands in the log; a step whose event was removed before keeps its name only.
create table memory_sources (
  item_id text not null references memory_items on delete cascade,
  session_id text not null,
  ref text not null,
  epoch bigint,
  seq bigint,
  primary key (item_id, session_id, ref)
);
create index memory_sources_by_step on memory_sources (session_id, ref);
