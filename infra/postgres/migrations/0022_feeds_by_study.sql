-- A token opens a feed of one study: its key contains the study too, so that feeds can be distributed.

ALTER TABLE cairn.feed DROP CONSTRAINT feed_digest;
ALTER TABLE cairn.feed ADD CONSTRAINT feed_digest UNIQUE (study, digest);
