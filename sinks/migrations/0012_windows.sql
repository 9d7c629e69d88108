-- The windows hold more: replies by the business clock, answered within one school day, the pillars, hand-offs.

-- up
ALTER TABLE rolling
    ADD COLUMN IF NOT EXISTS `reply_business_count` UInt32 AFTER `reply_counts`,
    ADD COLUMN IF NOT EXISTS `reply_business_sum_ms` Int64 AFTER `reply_business_count`,
    ADD COLUMN IF NOT EXISTS `reply_business_buckets` Array(UInt16) AFTER `reply_business_sum_ms`,
    ADD COLUMN IF NOT EXISTS `reply_business_counts` Array(UInt32) AFTER `reply_business_buckets`,
    ADD COLUMN IF NOT EXISTS `decided` UInt32 AFTER `reply_business_counts`,
    ADD COLUMN IF NOT EXISTS `within` UInt32 AFTER `decided`,
    ADD COLUMN IF NOT EXISTS `courtesy` Array(UInt32) AFTER `ratings_count`,
    ADD COLUMN IF NOT EXISTS `communication` Array(UInt32) AFTER `courtesy`,
    ADD COLUMN IF NOT EXISTS `responsiveness` Array(UInt32) AFTER `communication`,
    ADD COLUMN IF NOT EXISTS `environment` Array(UInt32) AFTER `responsiveness`,
    ADD COLUMN IF NOT EXISTS `handoffs` UInt32 AFTER `promises_pending`,
    ADD COLUMN IF NOT EXISTS `bounces` UInt32 AFTER `handoffs`;

-- down
ALTER TABLE rolling
    DROP COLUMN IF EXISTS `bounces`,
    DROP COLUMN IF EXISTS `handoffs`,
    DROP COLUMN IF EXISTS `environment`,
    DROP COLUMN IF EXISTS `responsiveness`,
    DROP COLUMN IF EXISTS `communication`,
    DROP COLUMN IF EXISTS `courtesy`,
    DROP COLUMN IF EXISTS `within`,
    DROP COLUMN IF EXISTS `decided`,
    DROP COLUMN IF EXISTS `reply_business_counts`,
    DROP COLUMN IF EXISTS `reply_business_buckets`,
    DROP COLUMN IF EXISTS `reply_business_sum_ms`,
    DROP COLUMN IF EXISTS `reply_business_count`;
