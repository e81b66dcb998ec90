-- Kept for what keeps conversations, which is written beside this.
SELECT 1;
