//! Putting a database back to what it held, many times over, without making a new one each time.

use sqlx::Executor;

use super::Database;
use super::database::connect;

/// Every table of the schema `public`, copied into the schema `kept`, and a function that copies them back. Nobody writes
/// meanwhile, and neither triggers nor references take part: what comes back is what was consistent before.
const KEEP: &str = r"
    CREATE SCHEMA kept;
    DO $body$
    DECLARE
        name text;
    BEGIN
        FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename LOOP
            EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', name);
        END LOOP;
    END
    $body$;
    CREATE FUNCTION kept.restore() RETURNS void LANGUAGE plpgsql AS $body$
    DECLARE
        names text[] := ARRAY(SELECT tablename::text FROM pg_tables WHERE schemaname = 'kept' ORDER BY tablename);
        name text;
    BEGIN
        SET LOCAL session_replication_role = replica;
        FOREACH name IN ARRAY names LOOP
            EXECUTE format('LOCK TABLE public.%I IN SHARE ROW EXCLUSIVE MODE', name);
        END LOOP;
        FOREACH name IN ARRAY names LOOP
            EXECUTE format('DELETE FROM public.%I', name);
            EXECUTE format('INSERT INTO public.%1$I OVERRIDING SYSTEM VALUE TABLE kept.%1$I', name);
        END LOOP;
    END
    $body$;
";

impl Database {
    /// Keeps what the tables hold now, for [`restore`](Self::restore). To be called once.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn keep(&self) {
        self.execute(KEEP).await;
    }

    /// Puts back every row as it was when it was [kept](Self::keep), whatever has been written since. Waits for
    /// transactions that write. Numbers that the server has given out are not given out again.
    ///
    /// # Panics
    /// The server refuses it, or nothing was kept.
    pub async fn restore(&self) {
        self.execute("SELECT kept.restore()").await;
    }

    async fn execute(&self, statements: &'static str) {
        let mut connection = connect(&self.url()).await;
        let done = connection.execute(statements).await;
        done.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }
}
