-- A one-time link for somebody who has an account: it sets a new password.
ALTER TABLE sign_in_links ADD COLUMN user_id TEXT REFERENCES users (id);
