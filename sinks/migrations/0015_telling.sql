-- Whom an alert is told, and why not. Alerts from before were told to everybody.

-- up
ALTER TABLE alerts
    ADD COLUMN IF NOT EXISTS `owner` LowCardinality(String) DEFAULT `unit` AFTER `unit`,
    ADD COLUMN IF NOT EXISTS `critical` UInt8 AFTER `notify`,
    ADD COLUMN IF NOT EXISTS `muted` LowCardinality(String) AFTER `critical`,
    ADD COLUMN IF NOT EXISTS `recipients` Array(LowCardinality(String)) DEFAULT ['everybody'] AFTER `muted`,
    ADD COLUMN IF NOT EXISTS `grouped` Array(LowCardinality(String)) AFTER `recipients`;

-- down
ALTER TABLE alerts
    DROP COLUMN IF EXISTS `owner`,
    DROP COLUMN IF EXISTS `critical`,
    DROP COLUMN IF EXISTS `muted`,
    DROP COLUMN IF EXISTS `recipients`,
    DROP COLUMN IF EXISTS `grouped`;
