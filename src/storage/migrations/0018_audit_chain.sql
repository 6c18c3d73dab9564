-- The audit log becomes a chain for each tenant: a row cannot be changed, removed, inserted or moved without one of the hashes
-- telling so. A trigger appends, whoever inserts: one statement writes a change and its row in the chain, and nodes of an
-- older version in the same cluster do so too. What is hashed is told in storage/audit-chain.ts, which computes it again.
create table audit_heads (
  tenant text primary key,
  -- Of the last row; 0 before the first.
  seq bigint not null default 0,
  hash text not null default repeat('0', 64)
);

-- Each value with its length in front, so that no two rows of values give one text.
create function audit_text(variadic fields text[]) returns text language sql immutable as $$
  select string_agg(coalesce(octet_length(convert_to(field, 'UTF8')) || ':' || field, '-'), '' order by position)
  from unnest(fields) with ordinality as each (field, position)
$$;

create function audit_hash(previous text, seq bigint, entry audit_log) returns text language sql immutable as $$
  select encode(sha256(convert_to(previous || audit_text(
    seq::text, (extract(epoch from entry.at) * 1000)::bigint::text, entry.tenant, entry.actor, entry.action,
    entry.session_id, entry.subject, entry.detail::text), 'UTF8')), 'hex')
$$;

alter table audit_log add column seq bigint, add column hash text;

-- The head's row is the lock under which a tenant's rows get their order; it is held until the transaction ends.
create function audit_append() returns trigger language plpgsql as $$
declare
  head audit_heads;
begin
  insert into audit_heads (tenant) values (new.tenant) on conflict do nothing;
  select * into strict head from audit_heads where tenant = new.tenant for update;
  new.seq := head.seq + 1;
  new.hash := audit_hash(head.hash, new.seq, new);
  update audit_heads set seq = new.seq, hash = new.hash where tenant = new.tenant;
  return new;
end
$$;

-- What was noted before is chained as it stands.
do $$
declare
  entry audit_log;
  head audit_heads;
begin
  for entry in select * from audit_log order by tenant, id loop
    insert into audit_heads (tenant) values (entry.tenant) on conflict do nothing;
    select * into strict head from audit_heads where tenant = entry.tenant;
    head.seq := head.seq + 1;
    head.hash := audit_hash(head.hash, head.seq, entry);
    update audit_log set seq = head.seq, hash = head.hash where id = entry.id;
    update audit_heads set seq = head.seq, hash = head.hash where tenant = entry.tenant;
  end loop;
end
$$;

alter table audit_log alter column seq set not null, alter column hash set not null;
create unique index audit_log_chain on audit_log (tenant, seq);
drop index audit_log_by_tenant;
create trigger audit_append before insert on audit_log for each row execute function audit_append();
