-- What may be shown of a unit's ratings, as the row of that minute knew it: a late rating moves nothing that was shown.

-- up
ALTER TABLE rolling ADD COLUMN IF NOT EXISTS `published_at` Nullable(DateTime64(3, 'UTC')) AFTER `promises_pending`;

ALTER TABLE rolling ADD COLUMN IF NOT EXISTS `published_ratings` Array(UInt32) AFTER `published_at`;

ALTER TABLE rolling ADD COLUMN IF NOT EXISTS `changes` UInt32 AFTER `published_ratings`;

-- down
ALTER TABLE rolling DROP COLUMN IF EXISTS `changes`;

ALTER TABLE rolling DROP COLUMN IF EXISTS `published_ratings`;

ALTER TABLE rolling DROP COLUMN IF EXISTS `published_at`;
