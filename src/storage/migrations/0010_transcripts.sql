-- What a Claude Code process writes down of its conversation, so that another worker can go on with it. `epoch` is of the
-- last owner that took the transcript up: nobody with a lower one appends.
create table transcripts (
  session_id text primary key,
  epoch bigint not null,
  entries bigint not null default 0,
  bytes bigint not null default 0
);

-- `path` is empty for the session's own conversation and names that of one of its agents otherwise.
create table transcript_entries (
  session_id text not null references transcripts on delete cascade,
  seq bigint not null,
  path text not null,
  uuid text,
  body text not null,
  primary key (session_id, seq)
);
-- An append whose answer was lost is sent again.
create unique index transcript_entries_once on transcript_entries (session_id, path, uuid) where uuid is not null;
