#!/usr/bin/env python3
"""How PostgreSQL runs the server's hot queries when the database holds a million videos.

Starts a PostgreSQL of its own in a temporary folder (as the user postgres if run by root), makes the schema from
server/queue/sql/postgres/migrations, fills it, and explains the named queries with generic plans, which is what
prepared statements get. Prints a table and exits with 1 if a query reads a large table from end to end, or sorts more
than it returns. Needs nothing but Debian's postgresql-15.

  tests/bench/postgres_plans.py [--videos=1000000] [--plans=FILE]
"""
import argparse
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

SQL = pathlib.Path(__file__).resolve().parents[2] / "server/queue/sql/postgres"
BIN = "/usr/lib/postgresql/15/bin"

# One video in a hundred waits, one in a thousand is being made, the rest has ended. Videos of the last hours
# are those that wait. Ids are as random as the server's.
FILL = """
CREATE FUNCTION id_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $f$ SELECT left(md5(n::text), 26) $f$;
INSERT INTO videos (id, tenant, state, priority, finished, revision, clips_done, clips_total, last_sequence,
                    create_time_us, update_time_us, end_time_us, image_key, image_size, image_sha256)
SELECT id_of(n), 'tenant-' || abs(hashint8(n)) % 50, s.state, n % 3, 1, 1, CASE WHEN s.state > 3 THEN 1 ELSE 0 END, 1,
       CASE WHEN s.state > 3 THEN 5 ELSE 1 END, 1e15 + n * 1e6, 1e15 + n * 1e6,
       CASE WHEN s.state > 3 THEN 1e15 + n * 1e6 END, id_of(n) || '/image', 100000, decode(md5(n::text), 'hex')
FROM generate_series(1, {videos}) n,
     LATERAL (SELECT CASE WHEN n % 1000 = 0 THEN 2 WHEN n > {videos} * 0.99 THEN 1
                          WHEN n % 20 = 0 THEN 5 ELSE 4 END AS state) s;
INSERT INTO video_specs SELECT id, decode(repeat('0a', 200), 'hex') FROM videos;
INSERT INTO request_ids (tenant, request_id, request_hash, video_id)
SELECT tenant, 'request-' || id, image_sha256, id FROM videos;
INSERT INTO clips (video_id, clip_index, state, epoch, attempts, worker, server, priority, ready_since_us, loras,
                   clip, mp4_key, mp4_size, mp4_sha256, leased_us, done_us)
SELECT id, 0, CASE state WHEN 1 THEN 1 WHEN 2 THEN 2 WHEN 5 THEN 4 ELSE 3 END, 1, 1, 'workers/w',
       'server-' || abs(hashtext(id)) % 10, priority, create_time_us,
       CASE WHEN right(tenant, 1) = '7' THEN 'style' ELSE '' END,
       CASE WHEN state = 4 THEN decode(repeat('0a', 200), 'hex') END,
       CASE WHEN state = 4 THEN id || '/clip' END, 1, image_sha256,
       create_time_us, CASE WHEN state = 4 THEN end_time_us END
FROM videos;
INSERT INTO events SELECT id, n, decode(repeat('0a', 40), 'hex') FROM videos, generate_series(1, 2) n;
INSERT INTO servers SELECT 'server-' || n, 1, 1 FROM generate_series(0, 9) n;
VACUUM ANALYZE;
"""

ID = "id_of({videos} - 1234)"
LEASED = "id_of(500000 / 1000 * 1000)"
LAST = "9223372036854775807"
# What each query is given; changes are rolled back.
VALUES = {
    "get_video": [ID],
    "lock_video": [ID],
    "try_lock_video": [ID],
    "get_clip": [ID, "0"],
    "find_request_id": ["'tenant-9'", "'request-' || " + ID],
    "list_videos": ["'tenant-9'", LAST, "''", "51"],
    "list_videos_of_state": ["'tenant-9'", "2", LAST, "''", "51"],
    "list_current_clips": ["''", "500"],
    "find_current_clip": [ID],
    "list_served_clips": ["1e15::bigint + {videos}::bigint * 980000", "2000"],
    "count_leasable": [],
    "list_ended": ["1e15::bigint + {videos}::bigint * 100000", "0", "''", "100"],
    "count_active_of_tenant": ["'tenant-9'", "100"],
    "count_active": ["10000"],
    "list_held_leases": [],
    "claim_clip": [LEASED, "0", "1", "'workers/w'"],
    "lease_clip": ["2", "'workers/w'", "1", ID, "0", "1"],
    "put_back_clip": ["1", "0", "1", LEASED, "0", "2"],
    "list_done_clips": [ID],
    "list_events": [ID, "0", "64"],
    "insert_event": [ID, "100", "''"],
    "last_sequences": ["(SELECT string_agg(id_of(n), ',') FROM generate_series(1, 1000) n)"],
    "adopt_clips": [],
    "count_videos": [],
}


def as_server_user(command):
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] + command


class Postgres:
    def __init__(self, folder):
        self.folder = folder
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        run = lambda *args: subprocess.run(as_server_user(list(args)), check=True, stdout=subprocess.DEVNULL)
        run(f"{BIN}/initdb", "-D", f"{folder}/data", "-U", "svi", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self.server = subprocess.Popen(
            as_server_user([f"{BIN}/postgres", "-D", f"{folder}/data", "-k", folder, "-c", "listen_addresses=",
                            "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "autovacuum=off"]),
            stderr=subprocess.DEVNULL)
        subprocess.run([f"{BIN}/pg_isready", "-h", folder, "-q"], check=False)
        while subprocess.run([f"{BIN}/pg_isready", "-h", folder, "-q"], check=False).returncode != 0:
            if self.server.poll() is not None:
                sys.exit("PostgreSQL does not start")

    def psql(self, sql):
        done = subprocess.run([f"{BIN}/psql", "-h", self.folder, "-U", "svi", "-d", "postgres", "-X", "-q", "-A", "-t",
                               "-v", "ON_ERROR_STOP=1", "-f", "-"], input=sql, text=True, capture_output=True,
                              check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return done.stdout

    def stop(self):
        self.server.terminate()
        self.server.wait()


def named_queries():
    queries = {}
    for file in sorted(SQL.glob("*.sql")):
        for part in re.split(r"(?m)^-- name: ", file.read_text())[1:]:
            name, body = part.split("\n", 1)
            queries[name.strip()] = "\n".join(l for l in body.split("\n") if not l.startswith("--")).strip()
    return queries


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explain(postgres, name, sql, values):
    arguments = f"({', '.join(values)})" if values else ""
    output = postgres.psql(f"""SET svi.server = 'server-3'; SET plan_cache_mode = force_generic_plan;
PREPARE query AS {sql}
BEGIN; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE query{arguments}; ROLLBACK;""")
    return json.loads(output)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1_000_000)
    parser.add_argument("--plans", help="file for the whole plans, as JSON")
    flags = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="svi-plans-")
    postgres = Postgres(folder)
    bad, plans = [], {}
    try:
        for migration in sorted((SQL / "migrations").glob("*.sql")):
            postgres.psql("BEGIN;" + migration.read_text() + "COMMIT;")
        postgres.psql(FILL.format(videos=flags.videos))
        queries = named_queries()
        print("| query | rows | pages | ms | how |\n| --- | ---: | ---: | ---: | --- |")
        for name, values in VALUES.items():
            constants = []  # EXECUTE takes no subquery
            for value in values:
                value = value.format(videos=flags.videos)
                constants.append("'" + postgres.psql(f"SELECT {value}").strip() + "'")
            plan = plans[name] = explain(postgres, name, queries[name], constants)
            top = plan["Plan"]
            how = sorted({n.get("Index Name", n.get("Relation Name")) + (" (whole)" if "Seq" in n["Node Type"] else "")
                          for n in nodes(top) if "Scan" in n["Node Type"] and ("Index Name" in n or "Relation Name" in n)})
            pages = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
            print(f"| {name} | {top['Actual Rows']} | {pages} | {plan['Execution Time']:.2f} | {', '.join(how)} |")
            for node in nodes(top):
                whole = "Seq Scan" in node["Node Type"] and node.get("Relation Name") != "servers"
                if whole or (node["Node Type"] == "Sort" and node["Actual Rows"] > 300):
                    bad.append(f"{name}: {node['Node Type']} of {node.get('Relation Name', 'many rows')}")
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if flags.plans:
        pathlib.Path(flags.plans).write_text(json.dumps(plans, indent=1))
    for line in bad:
        print(line, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
