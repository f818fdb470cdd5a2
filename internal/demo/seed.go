package demo

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// How many leads the demo begins with, by where they are.
const (
	onlyLeft  = 600
	onlyRight = 300
	onBoth    = 100
	allLeads  = onlyLeft + onlyRight + onBoth
)

// The ways the sandboxes and the integration file name things.
const (
	leadsStream   = "leads"
	leadsObject   = "leads"
	contactObject = "contacts"
	usersObject   = "users"
)

// sales are the people who own leads; they have an account on both systems.
func sales() []string { return []string{"beatriz", "caio", "dora"} }

// invented is one lead of the demo, told once and written in both systems' forms.
type invented struct{ n int }

func (i invented) left() bool  { return i.n <= onlyLeft || i.n > onlyLeft+onlyRight }
func (i invented) right() bool { return i.n > onlyLeft }

func (i invented) first() string {
	names := []string{"Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Gabriela", "Heitor", "Íris", "João"}
	return names[i.n%len(names)]
}

func (i invented) last() string {
	names := []string{"Almeida", "Barros", "Cardoso", "da Silva", "Esteves", "Ferreira", "Gonçalves", "de Souza", "Ibarra", "Junqueira", "Lopes"}
	return names[i.n%len(names)]
}

func (i invented) email() string {
	return fmt.Sprintf("%s.lead%04d@example.com", plain(i.first()), i.n)
}

// plain takes the accents off, as mail addresses have none.
func plain(name string) string {
	return strings.NewReplacer("á", "a", "í", "i", "ã", "a").Replace(strings.ToLower(name))
}

// emailElsewhere is the same address as somebody else would type it.
func (i invented) emailElsewhere() string {
	return " " + strings.ToUpper(i.email()[:1]) + i.email()[1:len(i.email())-len("example.com")] + "Example.COM "
}

func (i invented) phone() string { return fmt.Sprintf("+55 11 98%03d-%04d", i.n%1000, 1000+i.n) }

// phoneElsewhere leaves out the country, as people do at home.
func (i invented) phoneElsewhere() string {
	return fmt.Sprintf("(11) 98%03d %04d", i.n%1000, 1000+i.n)
}

func (i invented) company() string  { return fmt.Sprintf("Estúdio %d Ltda", i.n%50+1) }
func (i invented) position() string { return []string{"Buyer", "Director", "Engineer"}[i.n%3] }
func (i invented) note() string     { return fmt.Sprintf("met at fair %d", i.n%7) }
func (i invented) owner() string    { return sales()[i.n%len(sales())] }

// lead is the lead in SalesOS' form.
func (i invented) lead(owners map[string]string) map[string]any {
	email := i.email()
	if i.right() {
		email = i.emailElsewhere()
	}
	return map[string]any{
		"name": i.first() + " " + i.last(), "email": email, "phone": i.phone(), "company": i.company(), "position": i.position(),
		"status": []string{"new", "contacted", "qualified", "converted"}[i.n%4], "tags": []any{"inbound", "fair"},
		"owner_id": owners[i.owner()], "source": "import",
		"custom_fields": map[string]any{
			"score": i.n % 100, "note": i.note(),
			// The customer's own values: no mapping knows them.
			"campaign": "spring-" + strconv.Itoa(i.n%5), "scoring": map[string]any{"model": "v3", "weights": []any{1, 2.5, 3}},
		},
	}
}

// contact is the lead in Acme's form.
func (i invented) contact(owners map[string]string) map[string]any {
	phone := i.phone()
	if i.left() {
		phone = i.phoneElsewhere()
	}
	return map[string]any{
		"first_name": i.first(), "last_name": i.last(), "email": i.email(), "phone": phone, "company_name": i.company(), "job_title": i.position(),
		"lifecycle": []string{"lead", "contacted", "qualified", "customer"}[i.n%4], "labels": []any{"fair", "inbound"},
		"owner_id": owners[i.owner()], "score": i.n % 100, "note": i.note(),
		// The customer's own values: no mapping knows them.
		"mobile": "+55 21 99999-0000", "properties": map[string]any{"segment": "s" + strconv.Itoa(i.n%9), "nps": 9},
	}
}

// seed fills both servers as if they had been used for years: no webhooks fire.
func seed(ctx context.Context, left, right *sandboxclient.Client) error {
	leftOwners, err := seedUsers(ctx, left)
	if err != nil {
		return err
	}
	rightOwners, err := seedUsers(ctx, right)
	if err != nil {
		return err
	}
	var leads, contacts []map[string]any
	for n := 1; n <= allLeads; n++ {
		one := invented{n}
		if one.left() {
			leads = append(leads, one.lead(leftOwners))
		}
		if one.right() {
			contacts = append(contacts, one.contact(rightOwners))
		}
	}
	if _, err := left.Seed(ctx, wire.Seed{Object: leadsObject, Records: leads}); err != nil {
		return fmt.Errorf("seed SalesOS: %w", err)
	}
	if _, err := right.Seed(ctx, wire.Seed{Object: contactObject, Records: contacts}); err != nil {
		return fmt.Errorf("seed Acme: %w", err)
	}
	return nil
}

// seedUsers gives the ids of the sales people on one server.
func seedUsers(ctx context.Context, server *sandboxclient.Client) (map[string]string, error) {
	var records []map[string]any
	for _, name := range sales() {
		records = append(records, map[string]any{"name": strings.ToUpper(name[:1]) + name[1:], "email": name + "@sales.example.com"})
	}
	ids, err := server.Seed(ctx, wire.Seed{Object: usersObject, Records: records})
	if err != nil {
		return nil, fmt.Errorf("seed users: %w", err)
	}
	owners := map[string]string{}
	for i, name := range sales() {
		owners[name] = ids[i]
	}
	return owners, nil
}
