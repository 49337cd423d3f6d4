-- What the connected role is granted in this database, one statement a row. It reads catalogs only.
WITH RECURSIVE mine(oid) AS (
  SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user
  UNION
  SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN mine ON m.member = mine.oid
), everyone(oid) AS (SELECT oid FROM mine UNION SELECT 0::oid
), relation AS (
  SELECT c.oid, c.relowner, c.relkind, n.nspname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
         CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
         coalesce(c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner)) AS acl
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p', 'S')
)
SELECT 'CREATE ROLE ' || pg_catalog.quote_ident(r.rolname)
       || CASE WHEN r.rolsuper THEN ' SUPERUSER' ELSE ' NOSUPERUSER' END
       || CASE WHEN r.rolcreatedb THEN ' CREATEDB' ELSE ' NOCREATEDB' END
       || CASE WHEN r.rolcreaterole THEN ' CREATEROLE' ELSE ' NOCREATEROLE' END
       || CASE WHEN r.rolreplication THEN ' REPLICATION' ELSE ' NOREPLICATION' END
       || CASE WHEN r.rolbypassrls THEN ' BYPASSRLS' ELSE ' NOBYPASSRLS' END || ';' AS statement
FROM pg_catalog.pg_roles r JOIN mine ON mine.oid = r.oid
UNION ALL
SELECT 'GRANT ' || pg_catalog.quote_ident(r.rolname) || ' TO member;'
FROM pg_catalog.pg_roles r JOIN mine ON mine.oid = r.oid WHERE r.rolname LIKE 'pg\_%'
UNION ALL
SELECT 'GRANT ' || g.rolname || ' TO member WITH ADMIN OPTION;'
FROM pg_catalog.pg_auth_members m JOIN mine ON mine.oid = m.member
     JOIN pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.admin_option
UNION ALL
SELECT 'GRANT ' || a.privilege_type || ' ON ' || t.kind || ' ' || t.name || ' TO role' || CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION;' ELSE ';' END
FROM relation t CROSS JOIN LATERAL pg_catalog.aclexplode(t.acl) a JOIN everyone e ON e.oid = a.grantee
WHERE NOT (a.grantee = 0 AND t.nspname IN ('pg_catalog', 'information_schema'))
UNION ALL
SELECT 'GRANT ' || a.privilege_type || ' (' || pg_catalog.quote_ident(c.attname) || ') ON TABLE ' || t.name || ' TO role;'
FROM relation t JOIN pg_catalog.pg_attribute c ON c.attrelid = t.oid AND c.attacl IS NOT NULL
     CROSS JOIN LATERAL pg_catalog.aclexplode(c.attacl) a JOIN everyone e ON e.oid = a.grantee
WHERE NOT (a.grantee = 0 AND t.nspname IN ('pg_catalog', 'information_schema'))
UNION ALL
SELECT 'ALTER ' || t.kind || ' ' || t.name || ' OWNER TO role;' FROM relation t JOIN mine ON mine.oid = t.relowner
UNION ALL
SELECT 'GRANT ' || a.privilege_type || ' ON SCHEMA ' || pg_catalog.quote_ident(n.nspname) || ' TO role;'
FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
     JOIN everyone e ON e.oid = a.grantee
UNION ALL
SELECT 'ALTER SCHEMA ' || pg_catalog.quote_ident(n.nspname) || ' OWNER TO role;' FROM pg_catalog.pg_namespace n JOIN mine ON mine.oid = n.nspowner
UNION ALL
SELECT 'GRANT ' || a.privilege_type || ' ON DATABASE ' || pg_catalog.quote_ident(d.datname) || ' TO role;'
FROM pg_catalog.pg_database d CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a
     JOIN everyone e ON e.oid = a.grantee WHERE d.datname = pg_catalog.current_database()
UNION ALL
SELECT 'ALTER DATABASE ' || pg_catalog.quote_ident(d.datname) || ' OWNER TO role;' FROM pg_catalog.pg_database d JOIN mine ON mine.oid = d.datdba
UNION ALL
SELECT 'ALTER FUNCTION ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || ' OWNER TO role;'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace JOIN mine ON mine.oid = p.proowner
UNION ALL
SELECT DISTINCT 'CREATE FUNCTION ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || ' SECURITY DEFINER;'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a JOIN everyone e ON e.oid = a.grantee
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT DISTINCT 'GRANT EXECUTE ON FUNCTION ' || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname) || ' TO role;'
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) a JOIN mine ON mine.oid = a.grantee
UNION ALL
SELECT 'GRANT USAGE ON FOREIGN SERVER ' || pg_catalog.quote_ident(s.srvname) || ' TO role;'
FROM pg_catalog.pg_foreign_server s CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(s.srvacl, pg_catalog.acldefault('S', s.srvowner))) a
     JOIN everyone e ON e.oid = a.grantee
UNION ALL
SELECT 'ALTER LARGE OBJECT ' || l.oid || ' OWNER TO role;' FROM pg_catalog.pg_largeobject_metadata l JOIN mine ON mine.oid = l.lomowner
UNION ALL
SELECT 'GRANT ' || a.privilege_type || ' ON LARGE OBJECT ' || l.oid || ' TO role;'
FROM pg_catalog.pg_largeobject_metadata l CROSS JOIN LATERAL pg_catalog.aclexplode(l.lomacl) a JOIN everyone e ON e.oid = a.grantee;
