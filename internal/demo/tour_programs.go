package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// account is the log-in of the real servers that the tour starts.
const (
	accountName     = "accord"
	accountPassword = "tour-password"
)

// tourCalendar keeps Acme's appointments and a real calendar in step.
func tourCalendar(ctx context.Context, p *Play) (string, error) {
	path, err := installed("radicale", "Radicale (apt-get install radicale)")
	if err != nil {
		return "", err
	}
	server, err := p.startProgram(ctx, path, func(started *program) ([]string, error) {
		users, err := started.file("users", accountName+":"+accountPassword+"\n")
		if err != nil {
			return nil, err
		}
		file, err := started.file("config", fmt.Sprintf("[server]\nhosts = %s\n[auth]\ntype = htpasswd\nhtpasswd_filename = %s\nhtpasswd_encryption = plain\ndelay = 0\n"+
			"[storage]\nfilesystem_folder = %s/calendars\n[logging]\nlevel = critical\n", started.address, users, started.dir))
		return []string{"--config", file}, err
	})
	if err != nil {
		return "", err
	}
	defer server.stop()
	dav := calendar{root: "http://" + server.address + "/" + accountName + "/work", http: p.api.http}
	if _, err := dav.call(ctx, "MKCALENDAR", "/", "", nil); err != nil {
		return "", err
	}
	return at(ctx, p, "acme-calendar.yaml", nil, func(w *place) (string, error) {
		w.variables["CALENDAR_URL"], w.variables["CALENDAR_USER"], w.variables["ACME_LATE_BY"] = dav.root, accountName, "1s"
		w.secrets["calendar_password"] = accountPassword
		return w.appointments(ctx, dav)
	})
}

// appointments has an appointment made and moved in Acme, and an edit of the event come back.
func (w *place) appointments(ctx context.Context, dav calendar) (string, error) {
	contact, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Lia", "last_name": "Moura", "email": "lia@example.com", "phone": "+55 11 98765-4321"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	made, err := w.right.CreateRecord(ctx, "appointments", map[string]any{"title": "Visit", "contact_id": contact.ID, "time_zone": "America/Sao_Paulo",
		"starts_at": "2026-12-07T09:00:00-03:00", "ends_at": "2026-12-07T10:00:00-03:00", "recurrence": "FREQ=WEEKLY;COUNT=4"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	name, text, err := w.event(ctx, dav, "SUMMARY:Visit", "Lia Moura", "RRULE:FREQ=WEEKLY;COUNT=4", "TZID=America/Sao_Paulo:20261207T090000")
	if err != nil {
		return "", err
	}
	// Somebody moves one occurrence away and renames the series in the calendar.
	edited := strings.Replace(text, "SUMMARY:Visit", "SUMMARY:Visit with demo", 1)
	edited = strings.Replace(edited, "RRULE:FREQ=WEEKLY;COUNT=4", "RRULE:FREQ=WEEKLY;COUNT=4\r\nEXDATE;TZID=America/Sao_Paulo:20261214T090000", 1)
	if _, err := dav.call(ctx, http.MethodPut, name, edited, http.Header{"Content-Type": {"text/calendar"}}); err != nil {
		return "", err
	}
	read, err := w.value(ctx, w.right, "appointments", made.ID, "title", "Visit with demo")
	if err != nil {
		return read, err
	}
	if _, err := w.right.EditRecord(ctx, "appointments", made.ID, map[string]any{"location": "Room 7"}); err != nil {
		return read, fmt.Errorf("edit as a user on Acme: %w", err)
	}
	_, _, err = w.event(ctx, dav, "SUMMARY:Visit with demo", "LOCATION:Room 7", "EXDATE;TZID=America/Sao_Paulo:20261214T090000", "RRULE:FREQ=WEEKLY;COUNT=4")
	return "the event names the customer and repeats in its zone; " + read + "; after an edit in Acme the series and its exception are as they were", err
}

// event waits for the one event of the calendar to hold some texts.
func (w *place) event(ctx context.Context, dav calendar, wanted ...string) (name, text string, err error) {
	_, err = w.p.await(ctx, "an event with "+strings.Join(wanted, ", "), patience, func(ctx context.Context) (bool, string, error) {
		if name, text, err = dav.only(ctx); err != nil {
			return false, "", err
		}
		unfolded := strings.NewReplacer("\r\n ", "", "\n ", "").Replace(text)
		for _, one := range wanted {
			if !strings.Contains(unfolded, one) {
				return false, "no " + one, nil
			}
		}
		return true, "all there", nil
	})
	return name, text, err
}

// calendar is a collection of events, spoken to as its owner does.
type calendar struct {
	root string
	http *http.Client
}

func (c calendar) call(ctx context.Context, method, name, body string, header http.Header) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.root+name, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s of the calendar: %w", method, err)
	}
	if header != nil {
		request.Header = header
	}
	request.SetBasicAuth(accountName, accountPassword)
	answer, err := c.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("call the calendar: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && answer.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("the calendar answered %d to %s", answer.StatusCode, method)
	}
	return string(raw), err
}

// only gives the one event of the calendar, empty if there is none yet.
func (c calendar) only(ctx context.Context) (name, text string, err error) {
	listed, err := c.call(ctx, "PROPFIND", "/", "", http.Header{"Depth": {"1"}})
	if err != nil {
		return "", "", err
	}
	for _, part := range strings.Split(listed, "href>")[1:] {
		path, _, _ := strings.Cut(part, "<")
		if !strings.HasSuffix(path, ".ics") {
			continue
		}
		found := path[strings.LastIndex(path, "/"):]
		if name != "" && name != found {
			return "", "", errors.New("expected one event; read: more than one")
		}
		name = found
	}
	if name == "" {
		return "", "", nil
	}
	text, err = c.call(ctx, http.MethodGet, name, "", nil)
	return name, text, err
}

// tourFormats reads companies in XML and contacts out of a file in CSV with one bad row.
func tourFormats(ctx context.Context, p *Play) (string, error) {
	return at(ctx, p, "salesos-acme-legacy.yaml", nil, func(w *place) (string, error) {
		w.variables["EXPORT_EVERY"] = "2s"
		company, err := w.right.CreateRecord(ctx, "companies", map[string]any{"name": "Ação & Cia <Ltda>", "domain": "acao.example.com"})
		if err != nil {
			return "", fmt.Errorf("create as a user on Acme: %w", err)
		}
		if _, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Olga", "last_name": "Conceição", "email": "olga@example.com", "company_name": "Semi;colon, \"quoted\""}); err != nil {
			return "", fmt.Errorf("create as a user on Acme: %w", err)
		}
		if err := w.load(ctx); err != nil {
			return "", err
		}
		twin, err := w.only(ctx, w.left, leadsObject, "name", "Ação & Cia <Ltda>")
		if err != nil {
			return "", err
		}
		if _, err := w.left.EditRecord(ctx, leadsObject, twin.ID, map[string]any{"name": "Ação S.A."}); err != nil {
			return "", fmt.Errorf("edit as a user on SalesOS: %w", err)
		}
		read, err := w.value(ctx, w.right, "companies", company.ID, "name", "Ação S.A.")
		if err != nil {
			return read, err
		}
		lead, err := w.only(ctx, w.left, leadsObject, "email", "olga@example.com")
		if err != nil {
			return read, err
		}
		more, err := w.value(ctx, w.left, leadsObject, lead.ID, "company", "Semi;colon, \"quoted\"")
		if err != nil {
			return read + "\n" + more, err
		}
		told, err := w.badRow(ctx)
		return "XML both ways: " + read + "\nCSV: " + more + "\n" + told, err
	})
}

// badRow spoils one row of the file: it is parked with its line, and the rest goes on.
func (w *place) badRow(ctx context.Context) (string, error) {
	bad, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Rui", "email": "rui@example.com"})
	if err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if err := w.right.SpoilRow(ctx, wire.BadRow{Object: contactObject, ID: bad.ID, Kind: wire.RowColumns}); err != nil {
		return "", fmt.Errorf("spoil a row: %w", err)
	}
	if _, err := w.right.CreateRecord(ctx, contactObject, map[string]any{"first_name": "Sara", "email": "sara@example.com"}); err != nil {
		return "", fmt.Errorf("create as a user on Acme: %w", err)
	}
	if _, err := w.only(ctx, w.left, leadsObject, "email", "sara@example.com"); err != nil {
		return "", err
	}
	read, err := w.p.await(ctx, "the bad row among the dead letters, with its line", patience, func(ctx context.Context) (bool, string, error) {
		letters, err := w.p.api.deadLetters(ctx, w.connection.ID)
		told := "no dead letter"
		for _, one := range letters {
			told = one.Reason.Code + ": " + one.Reason.Message
			if one.Reason.Code == "unreadable_row" && strings.Contains(one.Reason.Message, "line") {
				return true, told, err
			}
		}
		return false, told, err
	})
	if err != nil {
		return read, err
	}
	if err := w.right.MendRows(ctx); err != nil {
		return read, fmt.Errorf("mend the row: %w", err)
	}
	_, err = w.only(ctx, w.left, leadsObject, "email", "rui@example.com")
	return "a bad row is parked (" + read + "), the others go on; mended, it arrives", err
}
