package sns_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker/sns"
	"github.com/accord-sync/accord/internal/fault"
)

const topic = "arn:aws:sns:eu-west-1:123456789012:crm"

// amazon is a server that stands for SNS, with a key of its own.
type amazon struct {
	*testing.T
	key       *rsa.PrivateKey
	server    *httptest.Server
	fetched   atomic.Int64
	confirmed atomic.Int64
	now       time.Time
	until     time.Time
	reader    *sns.Reader
}

func newAmazon(t *testing.T) *amazon {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	a := &amazon{T: t, key: key, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	a.until = a.now.Add(24 * time.Hour)
	a.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cert.pem":
			a.fetched.Add(1)
			template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns"}, NotBefore: a.now.Add(-time.Hour), NotAfter: a.until}
			der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
			if err == nil {
				err = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
			}
			if err != nil {
				http.Error(w, "no certificate", http.StatusInternalServerError)
			}
		case "/confirm":
			a.confirmed.Add(1)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(a.server.Close)
	a.reader = sns.New(sns.Options{Client: a.server.Client(), Host: func(host string) bool { return "https://"+host == a.server.URL }, Now: func() time.Time { return a.now }})
	return a
}

// message is one of SNS, signed after edit.
func (a *amazon) message(kind, version string, edit func(map[string]string)) map[string]string {
	fields := map[string]string{
		"Type": kind, "MessageId": "m-1", "TopicArn": topic, "Message": `{"type":"lead.updated","data":{"id":"1"}}`, "Timestamp": a.now.Format(time.RFC3339),
		"SignatureVersion": version, "SigningCertURL": a.server.URL + "/cert.pem",
	}
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if kind != "Notification" {
		fields["SubscribeURL"], fields["Token"] = a.server.URL+"/confirm?Action=ConfirmSubscription", "t-1"
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	if edit != nil {
		edit(fields)
	}
	var text strings.Builder
	for _, name := range names {
		if value, ok := fields[name]; ok {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	hash, sum := crypto.SHA256, sha256.New()
	if version == "1" {
		hash, sum = crypto.SHA1, sha1.New()
	}
	_, _ = sum.Write([]byte(text.String())) // a hash takes everything
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, hash, sum.Sum(nil))
	require.NoError(a, err)
	fields["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return fields
}

func (a *amazon) read(fields map[string]string, header http.Header) ([]byte, error) {
	body, err := json.Marshal(fields)
	require.NoError(a, err)
	return a.reader.Read(a.Context(), topic, header, body)
}

func TestNotifications(t *testing.T) {
	a := newAmazon(t)
	for _, version := range []string{"1", "2"} {
		for _, edit := range []func(map[string]string){nil, func(f map[string]string) { f["Subject"] = "a subject" }} {
			got, err := a.read(a.message("Notification", version, edit), http.Header{})
			require.NoError(t, err)
			require.JSONEq(t, `{"type":"lead.updated","data":{"id":"1"}}`, string(got))
		}
	}
	require.EqualValues(t, 1, a.fetched.Load(), "the certificate is fetched once")
}

func TestConfirmation(t *testing.T) {
	a := newAmazon(t)
	got, err := a.read(a.message("SubscriptionConfirmation", "1", nil), http.Header{})
	require.NoError(t, err)
	require.Nil(t, got)
	require.EqualValues(t, 1, a.confirmed.Load())
	got, err = a.read(a.message("UnsubscribeConfirmation", "1", nil), http.Header{})
	require.NoError(t, err)
	require.Nil(t, got)
	require.EqualValues(t, 1, a.confirmed.Load(), "what somebody ended is not begun again")

	_, err = a.read(a.message("SubscriptionConfirmation", "2", func(f map[string]string) { f["SubscribeURL"] = a.server.URL + "/broken" }), http.Header{})
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "SNS is to ask again")
}

func TestWhatIsRefused(t *testing.T) {
	for name, one := range map[string]struct {
		before, after func(map[string]string)
		kind          string
		header        http.Header
	}{
		"another message":             {after: func(f map[string]string) { f["Message"] = "{}" }},
		"another id":                  {after: func(f map[string]string) { f["MessageId"] = "m-2" }},
		"a subject slipped in":        {after: func(f map[string]string) { f["Subject"] = "x" }},
		"no signature":                {after: func(f map[string]string) { f["Signature"] = "" }},
		"a signature that is no text": {after: func(f map[string]string) { f["Signature"] = "%%" }},
		"an unknown version":          {after: func(f map[string]string) { f["SignatureVersion"] = "3" }},
		"the other version":           {after: func(f map[string]string) { f["SignatureVersion"] = "2" }},
		"a topic of somebody else":    {before: func(f map[string]string) { f["TopicArn"] = "arn:aws:sns:eu-west-1:999999999999:crm" }},
		"an unknown type":             {before: func(f map[string]string) { f["Type"] = "Other" }},
		"too old":                     {before: func(f map[string]string) { f["Timestamp"] = "2026-11-22T10:50:00Z" }},
		"of the future":               {before: func(f map[string]string) { f["Timestamp"] = "2026-11-22T12:06:00Z" }},
		"no time":                     {before: func(f map[string]string) { f["Timestamp"] = "" }},
		"a certificate with a query":  {before: func(f map[string]string) { f["SigningCertURL"] += "?again=1" }},
		"a certificate elsewhere":     {before: func(f map[string]string) { f["SigningCertURL"] = "https://evil.example.com/cert.pem" }},
		"a certificate over http": {before: func(f map[string]string) {
			f["SigningCertURL"] = strings.Replace(f["SigningCertURL"], "https", "http", 1)
		}},
		"a certificate that is none": {before: func(f map[string]string) {
			f["SigningCertURL"] = strings.Replace(f["SigningCertURL"], "cert.pem", "confirm", 1)
		}},
		"a user in the address": {before: func(f map[string]string) {
			f["SigningCertURL"] = strings.Replace(f["SigningCertURL"], "https://", "https://u@", 1)
		}},
		"confirmation elsewhere":        {kind: "SubscriptionConfirmation", before: func(f map[string]string) { f["SubscribeURL"] = "https://169.254.169.254/latest/meta-data" }},
		"an address to confirm, forged": {kind: "SubscriptionConfirmation", after: func(f map[string]string) { f["SubscribeURL"] += "&more=1" }},
		"raw delivery":                  {header: http.Header{"X-Amz-Sns-Rawdelivery": {"true"}}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAmazon(t)
			kind := one.kind
			if kind == "" {
				kind = "Notification"
			}
			fields := a.message(kind, "1", one.before)
			if one.after != nil {
				one.after(fields)
			}
			got, err := a.read(fields, one.header)
			require.Equal(t, fault.Unauthorized, fault.CodeOf(err), "%v", err)
			require.Nil(t, got)
			require.Zero(t, a.confirmed.Load())
		})
	}
}

func TestAnExpiredCertificate(t *testing.T) {
	a := newAmazon(t)
	_, err := a.read(a.message("Notification", "2", nil), http.Header{})
	require.NoError(t, err)
	a.now = a.until.Add(time.Minute)
	_, err = a.read(a.message("Notification", "2", nil), http.Header{})
	require.Equal(t, fault.Unauthorized, fault.CodeOf(err))
}

func TestAmazonThatDoesNotAnswer(t *testing.T) {
	a := newAmazon(t)
	message := a.message("Notification", "2", nil)
	a.server.Close()
	_, err := a.read(message, http.Header{})
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
}

// TestTheTokenOfAConfirmationIsToldNobody: who has it can begin the subscription anew.
func TestTheTokenOfAConfirmationIsToldNobody(t *testing.T) {
	a := newAmazon(t)
	_, err := a.read(a.message("Notification", "1", nil), http.Header{})
	require.NoError(t, err, "the certificate is known now")
	a.server.Client().Transport = nobody{}
	confirmation := a.message("SubscriptionConfirmation", "1", func(f map[string]string) { f["SubscribeURL"] += "&Token=canary" })
	_, err = a.read(confirmation, http.Header{})
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	for ; err != nil; err = errors.Unwrap(err) {
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"sns.eu-west-1.amazonaws.com": true, "sns.cn-north-1.amazonaws.com.cn": true, "sns.eu-west-1.amazonaws.com:8443": false, "sns.amazonaws.com": false,
		"sns.eu-west-1.amazonaws.com.evil.example.com": false, "evil-sns.eu-west-1.amazonaws.com": false, "s3.eu-west-1.amazonaws.com": false, "sns.a.b.amazonaws.com": false,
	} {
		require.Equal(t, want, sns.Amazon(host), host)
	}
}

func TestUnwrap(t *testing.T) {
	require.Equal(t, `{"a":1}`, string(sns.Unwrap([]byte(`{"Type":"Notification","TopicArn":"arn:x","Message":"{\"a\":1}"}`))))
	for _, plain := range []string{`{"type":"lead.updated"}`, `[]`, `junk`, ``} {
		require.Equal(t, plain, string(sns.Unwrap([]byte(plain))))
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"Type":"Notification","TopicArn":"` + topic + `"}`))
	reader := sns.New(sns.Options{Client: &http.Client{Transport: nobody{}}, Now: time.Now})
	f.Fuzz(func(t *testing.T, body []byte) {
		_, err := reader.Read(context.Background(), topic, http.Header{}, body)
		require.Error(t, err)
	})
}

type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fault.New(fault.Unavailable, "nobody is called")
}
