-- Pins stand in Redis alone: what a failover loses of them their holders put back.
alter table shard_assignments drop column pins;
