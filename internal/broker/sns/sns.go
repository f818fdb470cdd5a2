// Package sns reads what Amazon SNS posts over HTTPS: it checks the signature with
// the certificate that the message names, and confirms subscriptions.
//
// The rules are those of "Verifying the signatures of Amazon SNS messages" and
// "Using HTTP/S endpoints" in the SNS developer guide.
package sns

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // what SNS signs with unless the topic says otherwise
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

// TypeHeader is on everything that SNS posts; RawHeader on what it posts as it was
// published, without a signature.
const (
	TypeHeader = "X-Amz-Sns-Message-Type"
	RawHeader  = "X-Amz-Sns-Rawdelivery"
)

// The types of a message.
const (
	typeNotification = "Notification"
	typeConfirm      = "SubscriptionConfirmation"
	typeUnsubscribe  = "UnsubscribeConfirmation"
)

const (
	// oldest is how long ago a message may have been published: SNS repeats for an hour.
	oldest = 65 * time.Minute
	// ahead is how far its clock may be before ours.
	ahead = 5 * time.Minute
	// maxAnswer bounds a certificate and the answer to a confirmation, in bytes.
	maxAnswer = 64 << 10
	// certificatesKept bounds the cache; SNS has one per region and changes it rarely.
	certificatesKept = 64
	callTimeout      = 4 * time.Second
)

// Options make a Reader.
type Options struct {
	// Client fetches certificates and confirms; it must refuse private addresses.
	Client *http.Client
	// Host says which hosts certificates and confirmations may come from; nil: Amazon.
	Host func(host string) bool
	Now  func() time.Time
}

// Reader reads posts of SNS. It is safe for concurrent use.
type Reader struct {
	options Options

	mutex sync.Mutex
	known map[string]*x509.Certificate
}

// New makes a Reader.
func New(options Options) *Reader {
	if options.Host == nil {
		options.Host = Amazon
	}
	return &Reader{options: options, known: map[string]*x509.Certificate{}}
}

// Amazon says whether a host is an SNS endpoint of Amazon.
func Amazon(host string) bool {
	return regexp.MustCompile(`^sns\.[a-z0-9-]{3,40}\.amazonaws\.com(\.cn)?$`).MatchString(host)
}

// post is the body of what SNS posts.
type post struct {
	Type, MessageID, TopicArn, Message, Timestamp string
	SignatureVersion, Signature, SigningCertURL   string
	Token, SubscribeURL                           string
	Subject                                       *string
}

// Read checks what was posted for a topic and answers the message that was
// published; none when it was about the subscription itself, which is confirmed.
// Errors: Unauthorized (not of SNS, not of that topic, too old, or published
// without a signature), and Unavailable when Amazon does not answer.
func (r *Reader) Read(ctx context.Context, topic string, header http.Header, body []byte) ([]byte, error) {
	if header.Get(RawHeader) == "true" {
		return nil, fault.New(fault.Unauthorized, "SNS delivers raw messages, which it does not sign; switch raw message delivery off")
	}
	var got post
	if err := json.Unmarshal(body, &got); err != nil {
		return nil, fault.New(fault.Unauthorized, "what was posted is not a message of SNS")
	}
	if got.TopicArn != topic {
		return nil, fault.New(fault.Unauthorized, "the message is of another topic of SNS than broker.topic")
	}
	if err := r.inTime(got.Timestamp); err != nil {
		return nil, err
	}
	text, err := got.signed()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := r.verify(ctx, got, text); err != nil {
		return nil, err
	}
	switch got.Type {
	case typeNotification:
		return []byte(got.Message), nil
	case typeConfirm:
		return nil, r.confirm(ctx, got.SubscribeURL)
	}
	return nil, nil // somebody ended the subscription: that is theirs to do
}

func (r *Reader) inTime(text string) error {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fault.New(fault.Unauthorized, "the message of SNS has no time")
	}
	if age := r.options.Now().Sub(at); age > oldest || age < -ahead {
		return fault.New(fault.Unauthorized, "the message of SNS is too old, or of the future; check this machine's clock")
	}
	return nil
}

// signed is the text that SNS signs: names and values, a line each, in this order.
func (p post) signed() ([]byte, error) {
	pairs := [][2]string{{"Message", p.Message}, {"MessageId", p.MessageID}}
	switch p.Type {
	case typeNotification:
		if p.Subject != nil {
			pairs = append(pairs, [2]string{"Subject", *p.Subject})
		}
		pairs = append(pairs, [2]string{"Timestamp", p.Timestamp})
	case typeConfirm, typeUnsubscribe:
		pairs = append(pairs, [2]string{"SubscribeURL", p.SubscribeURL}, [2]string{"Timestamp", p.Timestamp}, [2]string{"Token", p.Token})
	default:
		return nil, fault.New(fault.Unauthorized, "the message of SNS is of no known type")
	}
	pairs = append(pairs, [2]string{"TopicArn", p.TopicArn}, [2]string{"Type", p.Type})
	var text bytes.Buffer
	for _, pair := range pairs {
		text.WriteString(pair[0] + "\n" + pair[1] + "\n")
	}
	return text.Bytes(), nil
}

func (r *Reader) verify(ctx context.Context, got post, text []byte) error {
	bad := fault.New(fault.Unauthorized, "the signature of the SNS message does not match")
	signature, err := base64.StdEncoding.DecodeString(got.Signature)
	if err != nil {
		return bad
	}
	certificate, err := r.certificate(ctx, got.SigningCertURL)
	if err != nil {
		return err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return bad
	}
	switch got.SignatureVersion {
	case "1":
		sum := sha1.Sum(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		return fault.New(fault.Unauthorized, "the SNS message has a signature of an unknown version")
	}
	if err != nil {
		return bad
	}
	return nil
}

// certificate fetches a certificate, once while it is valid.
func (r *Reader) certificate(ctx context.Context, address string) (*x509.Certificate, error) {
	// Each address is kept, so one certificate must not have endless ones: no query.
	if !r.allowed(address) || strings.ContainsAny(address, "?#") || path.Ext(address) != ".pem" {
		return nil, fault.New(fault.Unauthorized, "the SNS message names a certificate that is not Amazon's")
	}
	r.mutex.Lock()
	found := r.known[address]
	r.mutex.Unlock()
	if found == nil {
		text, err := r.get(ctx, address)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fault.New(fault.Unauthorized, "the certificate that the SNS message names cannot be read")
		}
		if found, err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fault.New(fault.Unauthorized, "the certificate that the SNS message names cannot be read")
		}
	}
	if now := r.options.Now(); now.Before(found.NotBefore) || now.After(found.NotAfter) {
		return nil, fault.New(fault.Unauthorized, "the certificate that the SNS message names is not valid now")
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.known) >= certificatesKept {
		r.known = map[string]*x509.Certificate{}
	}
	r.known[address] = found
	return found, nil
}

// confirm visits the address that begins the subscription.
func (r *Reader) confirm(ctx context.Context, address string) error {
	if !r.allowed(address) {
		return fault.New(fault.Unauthorized, "the SNS message names an address to confirm at that is not Amazon's")
	}
	_, err := r.get(ctx, address)
	return err
}

// allowed says whether an address may be called: Amazon's, over https, at its own port.
func (r *Reader) allowed(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && parsed.Scheme == "https" && parsed.User == nil && r.options.Host(parsed.Host)
}

func (r *Reader) get(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault.New(fault.Unauthorized, "the SNS message names an address that is none")
	}
	response, err := r.options.Client.Do(request)
	if err != nil {
		// The address of a confirmation has a token in it, which nobody may read.
		var located *url.Error
		if errors.As(err, &located) {
			err = located.Err
		}
		return nil, fault.Wrap(fault.Unavailable, err, "Amazon SNS does not answer")
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil || response.StatusCode != http.StatusOK {
		failed := fault.Wrap(fault.Unavailable, err, "Amazon SNS refuses the certificate or the confirmation")
		failed.Status = response.StatusCode
		return nil, failed
	}
	return text, nil
}

// Unwrap answers the message inside of what SNS puts into an SQS queue; a body that
// is not of SNS as it is.
func Unwrap(body []byte) []byte {
	var got post
	if json.Unmarshal(body, &got) == nil && got.Type == typeNotification && got.TopicArn != "" && got.Message != "" {
		return []byte(got.Message)
	}
	return body
}
