BEGIN TRANSACTION;
CREATE TABLE activity (
        id TEXT PRIMARY KEY NOT NULL, name TEXT, type TEXT, shares_since_ms INTEGER NOT NULL
    );
INSERT INTO "activity" VALUES('1','Hero','ab',0);
CREATE TABLE activity_sum (
        activity_id TEXT PRIMARY KEY NOT NULL, switched INTEGER NOT NULL DEFAULT 0, outside INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    ;
CREATE TABLE cohort_sum (
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, day INTEGER NOT NULL, entered INTEGER NOT NULL,
        visitors INTEGER NOT NULL, conversions INTEGER NOT NULL, orders INTEGER NOT NULL, units INTEGER NOT NULL, micros INTEGER NOT NULL, unusable INTEGER NOT NULL,
        PRIMARY KEY (activity_id, experience_id, day, entered)
    ) WITHOUT ROWID
    ;
INSERT INTO "cohort_sum" VALUES('1','0',0,1,4,2,0,0,0,0);
INSERT INTO "cohort_sum" VALUES('1','1',0,1,4,3,2,24,990000,0);
CREATE TABLE event (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, visitor TEXT NOT NULL,
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, location TEXT NOT NULL, token TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL, session_id TEXT NOT NULL, order_id TEXT, order_total REAL
    , recorded_ms INTEGER, facts TEXT);
INSERT INTO "event" VALUES(1,'i0','impression','v0','1','0','hero','t',1000,'s',NULL,NULL,1795929613835,'{"browser":"chrome"}');
INSERT INTO "event" VALUES(2,'c0','click','v0','1','0','hero','t',2000,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(3,'i1','impression','v1','1','1','hero','t',1001,'s',NULL,NULL,1795929613835,'{"browser":"chrome"}');
INSERT INTO "event" VALUES(4,'c1','click','v1','1','1','hero','t',2000,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(5,'i2','impression','v2','1','0','hero','t',1002,'s',NULL,NULL,1795929613835,'{"browser":"chrome"}');
INSERT INTO "event" VALUES(6,'c2','click','v2','1','0','hero','t',2000,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(7,'i3','impression','v3','1','1','hero','t',1003,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(8,'c3','click','v3','1','1','hero','t',2000,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(9,'i4','impression','v4','1','0','hero','t',1004,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(10,'i5','impression','v5','1','1','hero','t',1005,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(11,'i6','impression','v6','1','0','hero','t',1006,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(12,'i7','impression','v7','1','1','hero','t',1007,'s',NULL,NULL,1795929613835,NULL);
INSERT INTO "event" VALUES(13,'o1','order','v0','','','hero','t',3000,'s','A',19.99,1795929613835,NULL);
INSERT INTO "event" VALUES(14,'o2','order','v1','','','hero','t',2500,'s','A',19.99,1795929613835,NULL);
INSERT INTO "event" VALUES(15,'o3','order','v5','1','0','hero','t',3000,'s','B',5.0,1795929613835,NULL);
INSERT INTO "event" VALUES(16,'o4','order','late','','','hero','t',3000,'s','C',7.0,1795929613835,NULL);
CREATE TABLE experience (
        activity_id TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, name TEXT, share REAL,
        PRIMARY KEY (activity_id, id)
    );
INSERT INTO "experience" VALUES('1',0,'0','A',50.0);
INSERT INTO "experience" VALUES('1',1,'1','B',50.0);
CREATE TABLE impression_sum (
        activity_id TEXT NOT NULL, experience_id TEXT NOT NULL, impressions INTEGER NOT NULL,
        PRIMARY KEY (activity_id, experience_id)
    ) WITHOUT ROWID
    ;
INSERT INTO "impression_sum" VALUES('1','0',4);
INSERT INTO "impression_sum" VALUES('1','1',4);
CREATE TABLE participation (
        visitor TEXT NOT NULL, activity_id TEXT NOT NULL,
        experience_id TEXT, first_ms INTEGER, first_id TEXT, switched INTEGER NOT NULL DEFAULT 0,
        last_click_ms INTEGER, last_order_ms INTEGER, bound_orders INTEGER NOT NULL DEFAULT 0,
        orders INTEGER NOT NULL DEFAULT 0, units INTEGER NOT NULL DEFAULT 0, micros INTEGER NOT NULL DEFAULT 0,
        unusable INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (visitor, activity_id)
    ) WITHOUT ROWID
    ;
INSERT INTO "participation" VALUES('v0','1','0',1000,'i0',0,2000,NULL,0,0,0,0,0);
INSERT INTO "participation" VALUES('v1','1','1',1001,'i1',0,2000,2500,0,1,19,990000,0);
INSERT INTO "participation" VALUES('v2','1','0',1002,'i2',0,2000,NULL,0,0,0,0,0);
INSERT INTO "participation" VALUES('v3','1','1',1003,'i3',0,2000,NULL,0,0,0,0,0);
INSERT INTO "participation" VALUES('v4','1','0',1004,'i4',0,NULL,NULL,0,0,0,0,0);
INSERT INTO "participation" VALUES('v5','1','1',1005,'i5',0,NULL,3000,1,1,5,0,0);
INSERT INTO "participation" VALUES('v6','1','0',1006,'i6',0,NULL,NULL,0,0,0,0,0);
INSERT INTO "participation" VALUES('v7','1','1',1007,'i7',0,NULL,NULL,0,0,0,0,0);
CREATE TABLE purchase (
        activity_id TEXT NOT NULL, order_key TEXT NOT NULL, at_ms INTEGER NOT NULL, event_id TEXT NOT NULL,
        visitor TEXT NOT NULL, is_bound INTEGER NOT NULL, units INTEGER NOT NULL, micros INTEGER NOT NULL,
        unusable INTEGER NOT NULL,
        PRIMARY KEY (activity_id, order_key)
    ) WITHOUT ROWID
    ;
INSERT INTO "purchase" VALUES('1','order A',2500,'o2','v1',0,19,990000,0);
INSERT INTO "purchase" VALUES('1','order B',3000,'o3','v5',1,5,0,0);
CREATE TABLE recount (order_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE retention (removed INTEGER NOT NULL);
INSERT INTO "retention" VALUES(0);
CREATE INDEX purchase_of_visitor ON purchase (visitor, activity_id, at_ms);
CREATE INDEX buyer ON participation (activity_id, experience_id, first_ms / 86400000, first_ms, orders, units, micros)
    WHERE orders > 0
    ;
CREATE INDEX event_of_visitor ON event (visitor, kind);
CREATE INDEX event_of_order ON event (order_id) WHERE order_id IS NOT NULL;
CREATE VIEW counted_event AS SELECT id, kind, visitor, activity_id, experience_id, timestamp_ms, order_id, order_total FROM event;
CREATE TRIGGER count_impression INSTEAD OF INSERT ON counted_event WHEN NEW.kind IN ('impression', 'display') AND NEW.activity_id != '' AND NEW.experience_id != '' AND NEW.kind IN ('impression', 'display', 'click', 'order') AND typeof(NEW.id) = 'text' AND typeof(NEW.visitor) = 'text' AND typeof(NEW.activity_id) = 'text' AND typeof(NEW.experience_id) = 'text' AND typeof(NEW.timestamp_ms) = 'integer' AND NEW.timestamp_ms >= 0 BEGIN
        INSERT INTO participation (visitor, activity_id, experience_id, first_ms, first_id)
        VALUES (NEW.visitor, NEW.activity_id, NEW.experience_id, NEW.timestamp_ms, NEW.id)
        ON CONFLICT (visitor, activity_id) DO UPDATE SET
            switched = switched OR (experience_id IS NOT NULL AND experience_id != excluded.experience_id),
            experience_id = CASE WHEN (first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id)) THEN excluded.experience_id ELSE experience_id END,
            first_ms = CASE WHEN (first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id)) THEN excluded.first_ms ELSE first_ms END,
            first_id = CASE WHEN (first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id)) THEN excluded.first_id ELSE first_id END
        WHERE (first_ms IS NULL OR (excluded.first_ms, excluded.first_id) < (first_ms, first_id)) OR ((experience_id IS NOT NULL AND experience_id != excluded.experience_id) AND NOT switched);
    END;
CREATE TRIGGER count_click INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'click' AND NEW.activity_id != '' AND NEW.kind IN ('impression', 'display', 'click', 'order') AND typeof(NEW.id) = 'text' AND typeof(NEW.visitor) = 'text' AND typeof(NEW.activity_id) = 'text' AND typeof(NEW.experience_id) = 'text' AND typeof(NEW.timestamp_ms) = 'integer' AND NEW.timestamp_ms >= 0 BEGIN
        INSERT INTO participation (visitor, activity_id, last_click_ms)
        VALUES (NEW.visitor, NEW.activity_id, NEW.timestamp_ms)
        ON CONFLICT (visitor, activity_id) DO UPDATE SET last_click_ms = excluded.last_click_ms
        WHERE last_click_ms IS NULL OR last_click_ms < excluded.last_click_ms;
    END;
CREATE TRIGGER count_order INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'order' AND NEW.activity_id = '' AND NEW.kind IN ('impression', 'display', 'click', 'order') AND typeof(NEW.id) = 'text' AND typeof(NEW.visitor) = 'text' AND typeof(NEW.activity_id) = 'text' AND typeof(NEW.experience_id) = 'text' AND typeof(NEW.timestamp_ms) = 'integer' AND NEW.timestamp_ms >= 0 BEGIN

    INSERT INTO purchase (activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable)

        SELECT participation.activity_id, CASE WHEN NEW.order_id != '' THEN 'order ' || NEW.order_id ELSE 'event ' || NEW.id END, NEW.timestamp_ms, NEW.id, NEW.visitor, NEW.activity_id != '', (CASE WHEN (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) THEN CAST(round(NEW.order_total * 1000000.0) AS INTEGER) ELSE 0 END) / 1000000, (CASE WHEN (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) THEN CAST(round(NEW.order_total * 1000000.0) AS INTEGER) ELSE 0 END) % 1000000, NEW.order_total IS NOT NULL AND NOT (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) FROM participation
        WHERE participation.visitor = NEW.visitor AND participation.experience_id IS NOT NULL

    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    ;
    END;
CREATE TRIGGER count_bound_order INSTEAD OF INSERT ON counted_event
    WHEN NEW.kind = 'order' AND NEW.activity_id != '' AND NEW.kind IN ('impression', 'display', 'click', 'order') AND typeof(NEW.id) = 'text' AND typeof(NEW.visitor) = 'text' AND typeof(NEW.activity_id) = 'text' AND typeof(NEW.experience_id) = 'text' AND typeof(NEW.timestamp_ms) = 'integer' AND NEW.timestamp_ms >= 0 BEGIN

    INSERT INTO purchase (activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable)
     SELECT NEW.activity_id, CASE WHEN NEW.order_id != '' THEN 'order ' || NEW.order_id ELSE 'event ' || NEW.id END, NEW.timestamp_ms, NEW.id, NEW.visitor, NEW.activity_id != '', (CASE WHEN (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) THEN CAST(round(NEW.order_total * 1000000.0) AS INTEGER) ELSE 0 END) / 1000000, (CASE WHEN (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) THEN CAST(round(NEW.order_total * 1000000.0) AS INTEGER) ELSE 0 END) % 1000000, NEW.order_total IS NOT NULL AND NOT (typeof(NEW.order_total) IN ('real', 'integer') AND abs(NEW.order_total) <= 1000000000000) WHERE true
    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    ;
    END;
CREATE TRIGGER add_participation AFTER INSERT ON participation BEGIN

    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT NEW.activity_id, NEW.experience_id, NEW.first_ms / 86400000, (NEW.first_ms >= ifnull((SELECT shares_since_ms FROM activity WHERE id = NEW.activity_id), 0)),
        + 1, + (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms), + NEW.orders, + NEW.units, + NEW.micros, + NEW.unusable
    WHERE NEW.experience_id IS NOT NULL
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET
        visitors = visitors + excluded.visitors, conversions = conversions + excluded.conversions, orders = orders + excluded.orders, units = units + excluded.units, micros = micros + excluded.micros, unusable = unusable + excluded.unusable;
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT NEW.activity_id, + NEW.switched, + (NOT (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms) AND (NEW.last_click_ms IS NOT NULL OR NEW.bound_orders > 0)) WHERE NEW.switched OR (NOT (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms) AND (NEW.last_click_ms IS NOT NULL OR NEW.bound_orders > 0))
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = switched + excluded.switched, outside = outside + excluded.outside;

    END;
CREATE TRIGGER change_participation AFTER UPDATE ON participation
    WHEN (OLD.experience_id, OLD.switched, OLD.orders, OLD.units, OLD.micros, OLD.unusable, (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms), (NOT (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms) AND (OLD.last_click_ms IS NOT NULL OR OLD.bound_orders > 0)), OLD.first_ms) IS NOT (NEW.experience_id, NEW.switched, NEW.orders, NEW.units, NEW.micros, NEW.unusable, (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms), (NOT (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms) AND (NEW.last_click_ms IS NOT NULL OR NEW.bound_orders > 0)), NEW.first_ms) BEGIN

    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT OLD.activity_id, OLD.experience_id, OLD.first_ms / 86400000, (OLD.first_ms >= ifnull((SELECT shares_since_ms FROM activity WHERE id = OLD.activity_id), 0)),
        - 1, - (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms), - OLD.orders, - OLD.units, - OLD.micros, - OLD.unusable
    WHERE OLD.experience_id IS NOT NULL
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET
        visitors = visitors + excluded.visitors, conversions = conversions + excluded.conversions, orders = orders + excluded.orders, units = units + excluded.units, micros = micros + excluded.micros, unusable = unusable + excluded.unusable;
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT OLD.activity_id, - OLD.switched, - (NOT (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms) AND (OLD.last_click_ms IS NOT NULL OR OLD.bound_orders > 0)) WHERE OLD.switched OR (NOT (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms) AND (OLD.last_click_ms IS NOT NULL OR OLD.bound_orders > 0))
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = switched + excluded.switched, outside = outside + excluded.outside;


    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT NEW.activity_id, NEW.experience_id, NEW.first_ms / 86400000, (NEW.first_ms >= ifnull((SELECT shares_since_ms FROM activity WHERE id = NEW.activity_id), 0)),
        + 1, + (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms), + NEW.orders, + NEW.units, + NEW.micros, + NEW.unusable
    WHERE NEW.experience_id IS NOT NULL
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET
        visitors = visitors + excluded.visitors, conversions = conversions + excluded.conversions, orders = orders + excluded.orders, units = units + excluded.units, micros = micros + excluded.micros, unusable = unusable + excluded.unusable;
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT NEW.activity_id, + NEW.switched, + (NOT (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms) AND (NEW.last_click_ms IS NOT NULL OR NEW.bound_orders > 0)) WHERE NEW.switched OR (NOT (NEW.experience_id IS NOT NULL AND max(ifnull(NEW.last_click_ms, -1), ifnull(NEW.last_order_ms, -1)) >= NEW.first_ms) AND (NEW.last_click_ms IS NOT NULL OR NEW.bound_orders > 0))
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = switched + excluded.switched, outside = outside + excluded.outside;

    END;
CREATE TRIGGER remove_participation AFTER DELETE ON participation BEGIN

    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT OLD.activity_id, OLD.experience_id, OLD.first_ms / 86400000, (OLD.first_ms >= ifnull((SELECT shares_since_ms FROM activity WHERE id = OLD.activity_id), 0)),
        - 1, - (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms), - OLD.orders, - OLD.units, - OLD.micros, - OLD.unusable
    WHERE OLD.experience_id IS NOT NULL
    ON CONFLICT (activity_id, experience_id, day, entered) DO UPDATE SET
        visitors = visitors + excluded.visitors, conversions = conversions + excluded.conversions, orders = orders + excluded.orders, units = units + excluded.units, micros = micros + excluded.micros, unusable = unusable + excluded.unusable;
    INSERT INTO activity_sum (activity_id, switched, outside)
    SELECT OLD.activity_id, - OLD.switched, - (NOT (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms) AND (OLD.last_click_ms IS NOT NULL OR OLD.bound_orders > 0)) WHERE OLD.switched OR (NOT (OLD.experience_id IS NOT NULL AND max(ifnull(OLD.last_click_ms, -1), ifnull(OLD.last_order_ms, -1)) >= OLD.first_ms) AND (OLD.last_click_ms IS NOT NULL OR OLD.bound_orders > 0))
    ON CONFLICT (activity_id) DO UPDATE SET
        switched = switched + excluded.switched, outside = outside + excluded.outside;

    END;
CREATE TRIGGER enter_activity AFTER INSERT ON participation WHEN NEW.experience_id IS NOT NULL BEGIN


    INSERT INTO purchase (activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable)

    SELECT NEW.activity_id, CASE WHEN event.order_id != '' THEN 'order ' || event.order_id ELSE 'event ' || event.id END, event.timestamp_ms, event.id, event.visitor, event.activity_id != '', (CASE WHEN (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) THEN CAST(round(event.order_total * 1000000.0) AS INTEGER) ELSE 0 END) / 1000000, (CASE WHEN (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) THEN CAST(round(event.order_total * 1000000.0) AS INTEGER) ELSE 0 END) % 1000000, event.order_total IS NOT NULL AND NOT (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) FROM event
    WHERE true AND event.visitor = NEW.visitor AND event.kind = 'order' AND event.activity_id = ''
        AND event.kind IN ('impression', 'display', 'click', 'order') AND typeof(event.id) = 'text' AND typeof(event.visitor) = 'text' AND typeof(event.activity_id) = 'text' AND typeof(event.experience_id) = 'text' AND typeof(event.timestamp_ms) = 'integer' AND event.timestamp_ms >= 0

    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    ;

    END;
CREATE TRIGGER enter_earlier AFTER UPDATE OF first_ms ON participation WHEN OLD.first_ms IS NOT NEW.first_ms BEGIN
        UPDATE participation SET orders = orders + (SELECT count(*) FROM purchase WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id AND at_ms >= NEW.first_ms AND (OLD.first_ms IS NULL OR at_ms < OLD.first_ms)), units = units + (SELECT total(units) FROM purchase WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id AND at_ms >= NEW.first_ms AND (OLD.first_ms IS NULL OR at_ms < OLD.first_ms)), micros = micros + (SELECT total(micros) FROM purchase WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id AND at_ms >= NEW.first_ms AND (OLD.first_ms IS NULL OR at_ms < OLD.first_ms)), unusable = unusable + (SELECT total(unusable) FROM purchase WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id AND at_ms >= NEW.first_ms AND (OLD.first_ms IS NULL OR at_ms < OLD.first_ms))
        WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id;


    INSERT INTO purchase (activity_id, order_key, at_ms, event_id, visitor, is_bound, units, micros, unusable)

    SELECT NEW.activity_id, CASE WHEN event.order_id != '' THEN 'order ' || event.order_id ELSE 'event ' || event.id END, event.timestamp_ms, event.id, event.visitor, event.activity_id != '', (CASE WHEN (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) THEN CAST(round(event.order_total * 1000000.0) AS INTEGER) ELSE 0 END) / 1000000, (CASE WHEN (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) THEN CAST(round(event.order_total * 1000000.0) AS INTEGER) ELSE 0 END) % 1000000, event.order_total IS NOT NULL AND NOT (typeof(event.order_total) IN ('real', 'integer') AND abs(event.order_total) <= 1000000000000) FROM event
    WHERE OLD.experience_id IS NULL AND event.visitor = NEW.visitor AND event.kind = 'order' AND event.activity_id = ''
        AND event.kind IN ('impression', 'display', 'click', 'order') AND typeof(event.id) = 'text' AND typeof(event.visitor) = 'text' AND typeof(event.activity_id) = 'text' AND typeof(event.experience_id) = 'text' AND typeof(event.timestamp_ms) = 'integer' AND event.timestamp_ms >= 0

    ON CONFLICT (activity_id, order_key) DO UPDATE SET
        at_ms = excluded.at_ms, event_id = excluded.event_id, visitor = excluded.visitor, is_bound = excluded.is_bound,
        units = excluded.units, micros = excluded.micros, unusable = excluded.unusable
    WHERE (excluded.at_ms, excluded.event_id) < (at_ms, event_id)
    ;

    END;
CREATE TRIGGER add_purchase AFTER INSERT ON purchase BEGIN

    INSERT INTO participation (visitor, activity_id) SELECT NEW.visitor, NEW.activity_id WHERE NEW.is_bound
    ON CONFLICT (visitor, activity_id) DO NOTHING;
    UPDATE participation SET bound_orders = bound_orders + NEW.is_bound,
        last_order_ms = max(ifnull(last_order_ms, -1), NEW.at_ms), orders = orders + 1 * ifnull(NEW.at_ms >= first_ms, 0), units = units + NEW.units * ifnull(NEW.at_ms >= first_ms, 0), micros = micros + NEW.micros * ifnull(NEW.at_ms >= first_ms, 0), unusable = unusable + NEW.unusable * ifnull(NEW.at_ms >= first_ms, 0)
    WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id;

    END;
CREATE TRIGGER change_purchase AFTER UPDATE ON purchase BEGIN

    UPDATE participation SET bound_orders = bound_orders - OLD.is_bound,
        last_order_ms = (
            SELECT max(at_ms) FROM purchase WHERE visitor = OLD.visitor AND activity_id = OLD.activity_id
        ), orders = orders - 1 * ifnull(OLD.at_ms >= first_ms, 0), units = units - OLD.units * ifnull(OLD.at_ms >= first_ms, 0), micros = micros - OLD.micros * ifnull(OLD.at_ms >= first_ms, 0), unusable = unusable - OLD.unusable * ifnull(OLD.at_ms >= first_ms, 0)
    WHERE visitor = OLD.visitor AND activity_id = OLD.activity_id;


    INSERT INTO participation (visitor, activity_id) SELECT NEW.visitor, NEW.activity_id WHERE NEW.is_bound
    ON CONFLICT (visitor, activity_id) DO NOTHING;
    UPDATE participation SET bound_orders = bound_orders + NEW.is_bound,
        last_order_ms = max(ifnull(last_order_ms, -1), NEW.at_ms), orders = orders + 1 * ifnull(NEW.at_ms >= first_ms, 0), units = units + NEW.units * ifnull(NEW.at_ms >= first_ms, 0), micros = micros + NEW.micros * ifnull(NEW.at_ms >= first_ms, 0), unusable = unusable + NEW.unusable * ifnull(NEW.at_ms >= first_ms, 0)
    WHERE visitor = NEW.visitor AND activity_id = NEW.activity_id;

    END;
CREATE TRIGGER remove_purchase AFTER DELETE ON purchase BEGIN

    UPDATE participation SET bound_orders = bound_orders - OLD.is_bound,
        last_order_ms = (
            SELECT max(at_ms) FROM purchase WHERE visitor = OLD.visitor AND activity_id = OLD.activity_id
        ), orders = orders - 1 * ifnull(OLD.at_ms >= first_ms, 0), units = units - OLD.units * ifnull(OLD.at_ms >= first_ms, 0), micros = micros - OLD.micros * ifnull(OLD.at_ms >= first_ms, 0), unusable = unusable - OLD.unusable * ifnull(OLD.at_ms >= first_ms, 0)
    WHERE visitor = OLD.visitor AND activity_id = OLD.activity_id;

    END;
CREATE TRIGGER count_impressions AFTER INSERT ON event WHEN NEW.kind IN ('impression', 'display') AND NEW.activity_id != '' AND NEW.experience_id != '' AND NEW.kind IN ('impression', 'display', 'click', 'order') AND typeof(NEW.id) = 'text' AND typeof(NEW.visitor) = 'text' AND typeof(NEW.activity_id) = 'text' AND typeof(NEW.experience_id) = 'text' AND typeof(NEW.timestamp_ms) = 'integer' AND NEW.timestamp_ms >= 0 BEGIN
        INSERT INTO impression_sum (activity_id, experience_id, impressions)
        VALUES (NEW.activity_id, NEW.experience_id, 1)
        ON CONFLICT (activity_id, experience_id) DO UPDATE SET impressions = impressions + 1;
    END;
CREATE TRIGGER subtract_impression AFTER DELETE ON event WHEN OLD.kind IN ('impression', 'display') AND OLD.activity_id != '' AND OLD.experience_id != '' AND OLD.kind IN ('impression', 'display', 'click', 'order') AND typeof(OLD.id) = 'text' AND typeof(OLD.visitor) = 'text' AND typeof(OLD.activity_id) = 'text' AND typeof(OLD.experience_id) = 'text' AND typeof(OLD.timestamp_ms) = 'integer' AND OLD.timestamp_ms >= 0 BEGIN
        UPDATE impression_sum SET impressions = impressions - 1
        WHERE activity_id = OLD.activity_id AND experience_id = OLD.experience_id;
    END;
CREATE TRIGGER count_event AFTER INSERT ON event BEGIN
        INSERT INTO counted_event (id, kind, visitor, activity_id, experience_id, timestamp_ms, order_id, order_total) VALUES (NEW.id, NEW.kind, NEW.visitor, NEW.activity_id, NEW.experience_id, NEW.timestamp_ms, NEW.order_id, NEW.order_total);
    END;
CREATE TRIGGER describe_activity AFTER INSERT ON activity WHEN NEW.shares_since_ms > 0 BEGIN

    DELETE FROM cohort_sum WHERE activity_id = NEW.id;
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT activity_id, experience_id, first_ms / 86400000, first_ms >= NEW.shares_since_ms,
        count(*), sum((experience_id IS NOT NULL AND max(ifnull(last_click_ms, -1), ifnull(last_order_ms, -1)) >= first_ms)), sum(orders), total(units), total(micros), sum(unusable)
    FROM participation WHERE activity_id = NEW.id AND experience_id IS NOT NULL GROUP BY 1, 2, 3, 4;

    END;
CREATE TRIGGER change_shares AFTER UPDATE OF shares_since_ms ON activity
    WHEN OLD.shares_since_ms IS NOT NEW.shares_since_ms BEGIN

    DELETE FROM cohort_sum WHERE activity_id = NEW.id;
    INSERT INTO cohort_sum (activity_id, experience_id, day, entered, visitors, conversions, orders, units, micros, unusable)
    SELECT activity_id, experience_id, first_ms / 86400000, first_ms >= NEW.shares_since_ms,
        count(*), sum((experience_id IS NOT NULL AND max(ifnull(last_click_ms, -1), ifnull(last_order_ms, -1)) >= first_ms)), sum(orders), total(units), total(micros), sum(unusable)
    FROM participation WHERE activity_id = NEW.id AND experience_id IS NOT NULL GROUP BY 1, 2, 3, 4;

    END;
COMMIT;
PRAGMA application_id = 1414678361;
PRAGMA user_version = 4;
