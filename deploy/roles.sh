#!/usr/bin/env bash
# Run once, by the postgres image on an empty volume: the roles and the database of the README.
# psql reads the passwords from the environment, so that no process list shows them.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD
CREATE ROLE dashtam_owner LOGIN NOINHERIT PASSWORD :'owner_password';
CREATE ROLE dashtam_app LOGIN PASSWORD :'app_password';
CREATE ROLE dashtam_doors NOLOGIN;
GRANT dashtam_doors TO dashtam_owner;
CREATE DATABASE dashtam OWNER dashtam_owner;
\connect dashtam
ALTER SCHEMA public OWNER TO dashtam_owner;
SQL
