package demo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// serveTryton is the script that the tests start their Tryton with.
//
//go:embed serve/tryton
var serveTryton []byte

// erpPatience is how long Tryton may take to start: the first time it makes a database.
const erpPatience = 10 * time.Minute

// tourTryton keeps leads and deals in step with the parties and opportunities of a real
// Tryton on PostgreSQL.
func tourTryton(ctx context.Context, p *Play) (string, error) {
	desk, stop, err := startTryton(ctx, p)
	if err != nil {
		return "", err
	}
	defer stop()
	if err := desk.company(ctx); err != nil {
		return "", err
	}
	return at(ctx, p, "salesos-tryton.yaml", nil, func(w *place) (string, error) {
		w.variables["TRYTON_URL"], w.variables["TRYTON_USER"], w.variables["TRYTON_REQUESTS_PER_MINUTE"] = desk.address, accountName, "100000"
		w.secrets["tryton_password"] = accountPassword
		return w.trade(ctx, desk)
	})
}

// startTryton starts a server of its own with its database.
func startTryton(ctx context.Context, p *Play) (*erp, func(), error) {
	const what = "Tryton and PostgreSQL (apt-get install tryton-server tryton-modules-party tryton-modules-sale-opportunity python3-psycopg2 postgresql)"
	for _, program := range []string{"bash", "trytond", "trytond-admin"} {
		if _, err := installed(program, what); err != nil {
			return nil, nil, err
		}
	}
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err != nil || len(found) == 0 {
		return nil, nil, needs{what}
	}
	dir, err := os.MkdirTemp("", "accord-tour-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder: %w", err)
	}
	// PostgreSQL runs as another user, who must be let in.
	script, data := filepath.Join(dir, "serve"), filepath.Join(dir, "data")
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // as above
		return nil, nil, fmt.Errorf("make a folder: %w", err)
	}
	if err := os.WriteFile(script, serveTryton, 0o600); err != nil {
		return nil, nil, fmt.Errorf("write a script: %w", err)
	}
	stop := func() {
		_ = exec.CommandContext(context.WithoutCancel(ctx), "bash", script, "stop", data).Run() // what has not started need not end
		_ = os.RemoveAll(dir)                                                                   // a temporary folder
	}
	starting, cancel := context.WithTimeout(ctx, erpPatience)
	defer cancel()
	command := exec.CommandContext(starting, "bash", script, "start", data)
	var told, trouble bytes.Buffer
	command.Stdout, command.Stderr = &told, &trouble
	if err := command.Run(); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start Tryton: %w: %s", err, strings.TrimSpace(trouble.String()))
	}
	settings := settingsOf(told.String())
	desk := &erp{address: settings["ACCORD_TEST_TRYTON"], http: p.api.http}
	if err := desk.login(ctx, settings["ACCORD_TEST_TRYTON_USER"], settings["ACCORD_TEST_TRYTON_PASSWORD"]); err != nil {
		stop()
		return nil, nil, err
	}
	return desk, stop, nil
}

// settingsOf reads lines of a shell: export NAME=VALUE NAME=VALUE.
func settingsOf(lines string) map[string]string {
	found := map[string]string{}
	for _, word := range strings.Fields(lines) {
		if name, value, ok := strings.Cut(word, "="); ok {
			found[name] = value
		}
	}
	return found
}

// erp is a person at the screen of a Tryton: its administrator, over JSON-RPC.
type erp struct {
	address, session string
	http             *http.Client
}

func (e *erp) login(ctx context.Context, user, password string) error {
	answer, err := e.call(ctx, "common.db.login", user, map[string]any{"password": password})
	if err != nil {
		return err
	}
	parts, ok := answer.([]any)
	if !ok || len(parts) != 2 {
		return fmt.Errorf("expected Tryton to give a session; read: %T", answer)
	}
	e.session = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%v:%v", user, parts[0], parts[1]))
	return nil
}

// model calls a method of a model.
func (e *erp) model(ctx context.Context, model, method string, params ...any) (any, error) {
	return e.call(ctx, "model."+model+"."+method, append(params, map[string]any{"active_test": false})...)
}

// create makes one record and gives its id.
func (e *erp) create(ctx context.Context, model string, values map[string]any) (any, error) {
	answer, err := e.model(ctx, model, "create", []any{values})
	if err != nil {
		return nil, err
	}
	ids, ok := answer.([]any)
	if !ok || len(ids) != 1 {
		return nil, fmt.Errorf("expected one new record of %s; read: %v", model, answer)
	}
	return ids[0], nil
}

// rows reads records by one clause.
func (e *erp) rows(ctx context.Context, model string, clause []any, fields ...string) ([]map[string]any, error) {
	answer, err := e.model(ctx, model, "search_read", []any{clause}, 0, nil, nil, fields)
	if err != nil {
		return nil, err
	}
	list, _ := answer.([]any)
	var rows []map[string]any
	for _, one := range list {
		if row, ok := one.(map[string]any); ok {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (e *erp) call(ctx context.Context, method string, params ...any) (any, error) {
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", method, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address+"/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", method, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if e.session != "" {
		request.Header.Set("Authorization", "Session "+e.session)
	}
	answer, err := e.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("call Tryton: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of Tryton: %w", err)
	}
	var said struct {
		Result any `json:"result"`
		Error  any `json:"error"`
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&said); err != nil || answer.StatusCode != http.StatusOK || said.Error != nil {
		return nil, fmt.Errorf("tryton answered %d to %s: %v", answer.StatusCode, method, said.Error)
	}
	return said.Result, nil
}

// company makes the company that is sold for, and the service's user, its employee.
func (e *erp) company(ctx context.Context) error {
	values := map[string]any{}
	groups, err := e.model(ctx, "res.group", "search", []any{}, 0, nil, nil)
	if err != nil {
		return err
	}
	admin, err := e.model(ctx, "res.user", "search", []any{[]any{"login", "=", "admin"}}, 0, nil, nil)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		name, model string
		make        func() map[string]any
	}{
		{"currency", "currency.currency", func() map[string]any {
			return map[string]any{"name": "Real", "code": "BRL", "symbol": "R$", "digits": 2}
		}},
		{"ours", "party.party", func() map[string]any { return map[string]any{"name": "Our company"} }},
		{"company", "company.company", func() map[string]any {
			return map[string]any{"party": values["ours"], "currency": values["currency"]}
		}},
		{"person", "party.party", func() map[string]any { return map[string]any{"name": "Our employee"} }},
		{"employee", "company.employee", func() map[string]any {
			return map[string]any{"party": values["person"], "company": values["company"]}
		}},
		{"user", "res.user", func() map[string]any {
			return map[string]any{"login": accountName, "name": "Sync", "password": accountPassword, "groups": []any{[]any{"add", groups}},
				"companies": []any{[]any{"add", []any{values["company"]}}}, "company": values["company"]}
		}},
	} {
		if values[one.name], err = e.create(ctx, one.model, one.make()); err != nil {
			return err
		}
	}
	_, err = e.model(ctx, "res.user", "write", []any{values["user"]}, map[string]any{"employees": []any{[]any{"add", []any{values["employee"]}}}, "employee": values["employee"]})
	if err == nil {
		_, err = e.model(ctx, "res.user", "write", admin, map[string]any{"companies": []any{[]any{"add", []any{values["company"]}}}, "company": values["company"]})
	}
	return err
}

// trade has a lead and a deal appear in Tryton, and edits of both sides meet.
func (w *place) trade(ctx context.Context, desk *erp) (string, error) {
	lead, err := w.left.CreateRecord(ctx, leadsObject, map[string]any{"name": "Ana Lima", "email": "ana@example.com", "phone": "(11) 98765-4321"})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	deal, err := w.left.CreateRecord(ctx, dealsObject, map[string]any{"name": "Ten chairs", "value": 1250.5, "lead_id": lead.ID, "stage": map[string]any{"id": "stage_proposal"}})
	if err != nil {
		return "", fmt.Errorf("create as a user on SalesOS: %w", err)
	}
	if err := w.load(ctx); err != nil {
		return "", err
	}
	party, read, err := desk.party(ctx, w.p, "Ana Lima", "(11) 98765-4321")
	if err != nil {
		return read, err
	}
	made, told, err := desk.opportunity(ctx, w.p, deal.ID, fmt.Sprintf("Ten chairs, 1250.5, opportunity, party %v", party["id"]))
	read += "\n" + told
	if err != nil {
		return read, err
	}
	// Two people edit the two sides of each pair at the same time, in different fields.
	if _, err := desk.model(ctx, "sale.opportunity", "write", []any{made["id"]}, map[string]any{"amount": map[string]any{"__class__": "Decimal", "decimal": "1400.25"}}); err != nil {
		return read, err
	}
	if _, err := w.left.EditRecord(ctx, dealsObject, deal.ID, map[string]any{"name": "Twelve chairs"}); err != nil {
		return read, fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	if _, err := desk.model(ctx, "party.party", "write", []any{party["id"]}, map[string]any{"name": "Ana Lima Prado"}); err != nil {
		return read, err
	}
	if _, err := w.left.EditRecord(ctx, leadsObject, lead.ID, map[string]any{"phone": "(11) 91234-0000"}); err != nil {
		return read, fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	_, told, err = desk.opportunity(ctx, w.p, deal.ID, fmt.Sprintf("Twelve chairs, 1400.25, opportunity, party %v", party["id"]))
	read += "\nafter edits of both sides: " + told
	if err != nil {
		return read, err
	}
	for _, one := range []struct{ object, id, path, want string }{{dealsObject, deal.ID, "value", "1400.25"}, {leadsObject, lead.ID, "name", "Ana Lima Prado"}} {
		told, err = w.value(ctx, w.left, one.object, one.id, one.path, one.want)
		read += "; " + told
		if err != nil {
			return read, err
		}
	}
	_, told, err = desk.party(ctx, w.p, "Ana Lima Prado", "(11) 91234-0000")
	return read + "; " + told, err
}

// party waits for the one party of a name, with our lead's e-mail address and a phone number.
func (e *erp) party(ctx context.Context, p *Play, name, phone string) (row map[string]any, read string, err error) {
	read, err = p.await(ctx, "one party "+name+" in Tryton", loadPatience, func(ctx context.Context) (bool, string, error) {
		rows, err := e.rows(ctx, "party.party", []any{"name", "=", name}, "name", "email", "phone")
		if len(rows) != 1 {
			return false, strconv.Itoa(len(rows)) + " of them", err
		}
		row = rows[0]
		ok := text(row["email"]) == "ana@example.com" && normalPhone(text(row["phone"])) == normalPhone(phone)
		return ok, fmt.Sprintf("Tryton has party %v %q, e-mail %v, phone %v", row["id"], name, row["email"], row["phone"]), err
	})
	return row, read, err
}

// opportunity waits until the one opportunity of a deal says what is wanted.
func (e *erp) opportunity(ctx context.Context, p *Play, deal, want string) (row map[string]any, read string, err error) {
	read, err = p.await(ctx, "one opportunity in Tryton: "+want, loadPatience, func(ctx context.Context) (bool, string, error) {
		rows, err := e.rows(ctx, "sale.opportunity", []any{"reference", "=", deal}, "description", "amount", "state", "party")
		if len(rows) != 1 {
			return false, strconv.Itoa(len(rows)) + " of them", err
		}
		row = rows[0]
		now := fmt.Sprintf("%v, %v, %v, party %v", row["description"], dig(row, "amount.decimal"), row["state"], row["party"])
		return now == want, "Tryton has opportunity " + now, err
	})
	return row, read, err
}
