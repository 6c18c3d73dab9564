-- Sessions that are at rest leave Redis. What their next owner needs stands here; their events are in `events` already. A
-- row stays when its session comes back, and is replaced when it rests again: it is its session's last state as long as no
-- event is newer.
create table dormant_sessions (
  session_id text primary key,
  -- Of the owner that wrote the row: a former owner that writes late must not replace it.
  claim_epoch bigint not null,
  epoch bigint not null,
  seq bigint not null,
  accepted bigint not null,
  status text not null,
  -- All that is kept, byte by byte: command ids may hold any character.
  record json not null
);

-- Whether Redis may hold the session. Only true is sure to be found again: who cannot tell says true, and an owner looks.
alter table sessions add column awake boolean not null default true;
create index sessions_awake on sessions (shard, id) where awake;
