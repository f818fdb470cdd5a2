package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/accord-sync/accord/internal/sandbox"
)

// plain is a program without any durability that makes the reads and writes
// which nobody can spare: the limit that Accord is compared with.
type plain struct {
	left, right           string
	leftToken, rightToken string
	http                  *http.Client
	concurrency           int
}

// plainDone is what the program prints at its end.
type plainDone struct {
	Records int     `json:"records"`
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`
}

// runPlain is the program: it copies all leads of SalesOS into Acme, or, given
// pairs of ids on its standard input, the company of each.
func runPlain(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("plain", flag.ContinueOnError)
	left, right := flags.String("left", "", "root of SalesOS"), flags.String("right", "", "root of Acme")
	concurrency := flags.Int("concurrency", 16, "calls at a time")
	pairs := flags.Bool("pairs", false, "read pairs of ids, one a line, and copy the company of each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := newPlain(ctx, *left, *right, *concurrency)
	if err != nil {
		return err
	}
	var work [][2]string
	if *pairs {
		if work, err = readPairs(os.Stdin); err != nil {
			return err
		}
	}
	begun, before := time.Now(), ownCPU()
	var records int
	if *pairs {
		records, err = len(work), p.edit(ctx, work)
	} else {
		records, err = p.load(ctx)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(plainDone{records, time.Since(begun).Seconds(), (ownCPU() - before).Seconds()})
}

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func readPairs(from io.Reader) ([][2]string, error) {
	raw, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	var pairs [][2]string
	for line := range strings.Lines(string(raw)) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			return nil, fmt.Errorf("%q is no pair of ids", line)
		}
		pairs = append(pairs, [2]string{left, right})
	}
	return pairs, nil
}

// newPlain gets the tokens.
func newPlain(ctx context.Context, left, right string, concurrency int) (*plain, error) {
	transport := &http.Transport{MaxIdleConns: 2 * concurrency, MaxIdleConnsPerHost: concurrency, MaxConnsPerHost: concurrency}
	p := &plain{left: left, right: right, concurrency: concurrency, http: &http.Client{Transport: transport, Timeout: time.Minute}}
	var got struct {
		Token string `json:"access_token"`
	}
	in := map[string]any{"grant_type": "client_credentials", "client_id": sandbox.DefaultClientID, "client_secret": sandbox.DefaultClientSecret, "audience": "https://api.play2sell.com"}
	if err := p.call(ctx, http.MethodPost, left+"/oauth/token", "", in, &got); err != nil {
		return nil, err
	}
	p.leftToken = got.Token
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {sandbox.DefaultClientID}, "client_secret": {sandbox.DefaultClientSecret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, right+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := p.do(req, &got); err != nil {
		return nil, err
	}
	p.rightToken = got.Token
	return p, nil
}

func (p *plain) call(ctx context.Context, method, url, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return p.do(req, out)
}

func (p *plain) do(req *http.Request, out any) error {
	res, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: status %d: %.200s", req.Method, req.URL.Path, res.StatusCode, raw)
	}
	return json.Unmarshal(raw, out)
}

// lead is the part of a lead that is copied.
type lead struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Email    string         `json:"email"`
	Phone    string         `json:"phone"`
	Company  string         `json:"company"`
	Position string         `json:"position"`
	Tags     []string       `json:"tags"`
	Custom   map[string]any `json:"custom_fields"`
}

// load lists both sides, as any first load must, and creates each lead in Acme.
func (p *plain) load(ctx context.Context) (int, error) {
	var there struct{ Items []any }
	if err := p.call(ctx, http.MethodGet, p.right+"/api/2/contacts?limit=200", p.rightToken, nil, &there); err != nil {
		return 0, err
	}
	if len(there.Items) > 0 {
		return 0, errors.New("the target is not empty")
	}
	leads, done := make(chan lead, 200), 0
	failed := p.each(func() error {
		for one := range leads {
			if err := p.create(ctx, one); err != nil {
				return err
			}
		}
		return nil
	})
	for page := 1; ; page++ {
		var listed struct{ Data []lead }
		if err := p.call(ctx, http.MethodGet, fmt.Sprintf("%s/v1/leads?per_page=100&page=%d", p.left, page), p.leftToken, nil, &listed); err != nil {
			return 0, err
		}
		for _, one := range listed.Data {
			leads <- one
			done++
		}
		if len(listed.Data) < 100 {
			break
		}
	}
	close(leads)
	return done, failed()
}

func (p *plain) create(ctx context.Context, one lead) error {
	first, last, _ := strings.Cut(one.Name, " ")
	fields := map[string]any{
		"first_name": first, "last_name": last, "email": one.Email, "phone": one.Phone, "company_name": one.Company, "job_title": one.Position,
		"labels": one.Tags, "note": one.Custom["note"], "lifecycle": "contacted", "external_ref": one.ID,
	}
	return p.call(ctx, http.MethodPost, p.right+"/api/2/contacts", p.rightToken, fields, &struct{}{})
}

// edit reads each record on the left and writes its company on the right.
func (p *plain) edit(ctx context.Context, pairs [][2]string) error {
	work := make(chan [2]string)
	failed := p.each(func() error {
		for pair := range work {
			if err := p.copy(ctx, pair); err != nil {
				return err
			}
		}
		return nil
	})
	for _, pair := range pairs {
		work <- pair
	}
	close(work)
	return failed()
}

// copy reads one lead and writes its company into its contact.
func (p *plain) copy(ctx context.Context, pair [2]string) error {
	var got struct{ Data lead }
	if err := p.call(ctx, http.MethodGet, p.left+"/v1/leads/"+pair[0], p.leftToken, nil, &got); err != nil {
		return err
	}
	fields := map[string]any{"company_name": got.Data.Company}
	return p.call(ctx, http.MethodPatch, p.right+"/api/2/contacts/"+pair[1], p.rightToken, fields, &struct{}{})
}

// each runs work as often side by side as calls may be made at a time. The
// program ends at its first failure, so that nobody waits for a stuck channel.
func (p *plain) each(work func() error) func() error {
	var running sync.WaitGroup
	for range p.concurrency {
		running.Go(func() {
			if err := work(); err != nil {
				fmt.Fprintln(os.Stderr, "plain:", err)
				os.Exit(1)
			}
		})
	}
	return func() error {
		running.Wait()
		return nil
	}
}
