package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/sns"
	"github.com/accord-sync/accord/internal/fault"
)

// How SQS is used.
const (
	// sqsBatch is how many messages SQS gives or takes at once.
	sqsBatch = 10
	// sqsWait is how long it waits for one, in seconds; SQSTimeout more than that.
	sqsWait = 20
	// maxSQS bounds an answer, in bytes: a batch of the largest messages.
	maxSQS = 16 << 20
	// sqsID is the attribute that carries a publisher's own id.
	sqsID = "Message-Id"
)

// SQSTimeout is what the HTTP client of Network must allow a call.
const SQSTimeout = 30 * time.Second

// sqsQueue calls one queue, in the JSON protocol of SQS.
type sqsQueue struct {
	config broker.Config
	client *http.Client
	now    func() time.Time
	signer *v4.Signer
	open   map[string]bool
}

var (
	_ broker.Subscription = (*sqsQueue)(nil)
	_ broker.Publisher    = (*sqsQueue)(nil)
)

func openSQS(config broker.Config, network Network) *sqsQueue {
	return &sqsQueue{config: config, client: network.HTTP, now: network.Now, signer: v4.NewSigner(), open: map[string]bool{}}
}

func subscribeSQS(ctx context.Context, config broker.Config, network Network) (broker.Subscription, error) {
	queue := openSQS(config, network)
	return queue, queue.check(ctx)
}

func publishSQS(_ context.Context, config broker.Config, network Network) (broker.Publisher, error) {
	return openSQS(config, network), nil
}

func checkSQS(ctx context.Context, config broker.Config, network Network) error {
	return openSQS(config, network).check(ctx)
}

func (q *sqsQueue) check(ctx context.Context) error {
	return q.call(ctx, "GetQueueAttributes", map[string]any{"QueueUrl": q.config.URL, "AttributeNames": []string{"QueueArn"}}, nil)
}

// call makes one signed call.
func (q *sqsQueue) call(ctx context.Context, action string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "a call of SQS cannot be written")
	}
	root, err := url.Parse(q.config.URL)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "broker.url is no address")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, root.Scheme+"://"+root.Host+"/", bytes.NewReader(body))
	if err != nil {
		return fault.Wrap(fault.Usage, err, "broker.url is no address")
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.0")
	request.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	sum := sha256.Sum256(body)
	auth := q.config.Auth
	credentials := aws.Credentials{AccessKeyID: auth.AccessKeyID, SecretAccessKey: auth.SecretAccessKey, SessionToken: auth.SessionToken}
	if err := q.signer.SignHTTP(ctx, credentials, request, hex.EncodeToString(sum[:]), "sqs", q.config.AWSRegion(), q.now()); err != nil {
		return fault.Wrap(fault.Internal, err, "a call of SQS cannot be signed")
	}
	response, err := q.client.Do(request)
	if err != nil {
		if coded := fault.As(err); coded != nil && coded.Code == fault.Forbidden {
			return coded
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.Wrap(fault.Unavailable, err, "SQS does not answer")
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxSQS))
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "SQS broke off its answer")
	}
	if response.StatusCode != http.StatusOK {
		return sqsFault(response.StatusCode, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the answer of SQS cannot be read")
	}
	return nil
}

// sqsFault codes a refusal by its type.
func sqsFault(status int, answer []byte) error {
	var said struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(answer, &said) // what is not JSON says nothing
	_, kind, _ := strings.Cut(said.Type, "#")
	var failed *fault.Error
	switch {
	case kind == "QueueDoesNotExist" || strings.HasSuffix(kind, "NonExistentQueue") || kind == "InvalidAddress":
		failed = fault.New(fault.Usage, "SQS has no such queue; check broker.url and broker.region")
	case status == http.StatusForbidden || status == http.StatusUnauthorized || strings.Contains(kind, "AccessDenied") || strings.Contains(kind, "Token") || strings.Contains(kind, "Signature"):
		failed = fault.New(fault.Auth, "SQS refuses the key; check broker.auth, its permissions and this machine's clock")
	case status >= 500 || status == http.StatusTooManyRequests || strings.Contains(kind, "Throttl"):
		failed = fault.New(fault.Unavailable, "SQS does not answer")
	default:
		failed = fault.New(fault.Usage, "SQS refuses the call; check the settings of the broker")
	}
	failed.Status = status
	return failed
}

// sqsMessage is a message as SQS shows it.
type sqsMessage struct {
	MessageID         string `json:"MessageId"`
	ReceiptHandle     string
	Body              string
	MessageAttributes map[string]sqsAttribute
}

type sqsAttribute struct {
	DataType    string
	StringValue string
}

// Receive implements broker.Subscription. SQS gives ten at most.
func (q *sqsQueue) Receive(ctx context.Context) ([]broker.Message, error) {
	for {
		var got struct{ Messages []sqsMessage }
		err := q.call(ctx, "ReceiveMessage", map[string]any{
			"QueueUrl": q.config.URL, "MaxNumberOfMessages": sqsBatch, "WaitTimeSeconds": sqsWait, "MessageAttributeNames": []string{"All"}}, &got)
		if err != nil {
			return nil, err
		}
		if len(got.Messages) == 0 {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue
		}
		batch := make([]broker.Message, 0, len(got.Messages))
		for _, one := range got.Messages {
			q.open[one.ReceiptHandle] = true
			message := broker.Message{ID: one.MessageID, Header: http.Header{}, Body: sns.Unwrap([]byte(one.Body)), Receipt: one.ReceiptHandle}
			for name, value := range one.MessageAttributes {
				if value.DataType == "String" {
					message.Header.Set(name, value.StringValue)
				}
			}
			if own := message.Header.Get(sqsID); own != "" {
				message.ID = own
			}
			batch = append(batch, message)
		}
		return batch, nil
	}
}

// Acknowledge implements broker.Subscription.
func (q *sqsQueue) Acknowledge(ctx context.Context, messages []broker.Message) error {
	receipts := make([]string, 0, len(messages))
	for _, one := range messages {
		receipt, ok := one.Receipt.(string)
		if !ok {
			return fault.New(fault.Internal, "a message of another broker is handed to SQS")
		}
		receipts = append(receipts, receipt)
	}
	return q.each(ctx, "DeleteMessageBatch", receipts, nil)
}

// Refuse implements broker.Subscription: SQS knows no refusal, so it is deleted.
func (q *sqsQueue) Refuse(ctx context.Context, messages []broker.Message) error {
	return q.Acknowledge(ctx, messages)
}

// each does something to messages, in batches.
func (q *sqsQueue) each(ctx context.Context, action string, receipts []string, extra map[string]any) error {
	for start := 0; start < len(receipts); start += sqsBatch {
		some := receipts[start:min(start+sqsBatch, len(receipts))]
		entries := make([]map[string]any, 0, len(some))
		for n, receipt := range some {
			entry := map[string]any{"Id": strconv.Itoa(n), "ReceiptHandle": receipt}
			for name, value := range extra {
				entry[name] = value
			}
			entries = append(entries, entry)
		}
		var got struct{ Failed []struct{ Id string } }
		if err := q.call(ctx, action, map[string]any{"QueueUrl": q.config.URL, "Entries": entries}, &got); err != nil {
			return err
		}
		for _, receipt := range some {
			delete(q.open, receipt)
		}
		if len(got.Failed) > 0 {
			return fault.New(fault.Unavailable, "SQS did not take all acknowledgements; what it did not take comes again")
		}
	}
	return nil
}

// Publish implements broker.Publisher. The topic is the address of a queue. SQS drops
// no repeats.
func (q *sqsQueue) Publish(ctx context.Context, topic string, message broker.Message) error {
	attributes := map[string]sqsAttribute{}
	for name := range message.Header {
		if value := message.Header.Get(name); value != "" {
			attributes[name] = sqsAttribute{DataType: "String", StringValue: value}
		}
	}
	if message.ID != "" {
		attributes[sqsID] = sqsAttribute{DataType: "String", StringValue: message.ID}
	}
	err := q.call(ctx, "SendMessage", map[string]any{"QueueUrl": topic, "MessageBody": string(message.Body), "MessageAttributes": attributes}, nil)
	if fault.Is(err, fault.Unavailable) || errors.Is(err, context.DeadlineExceeded) {
		failed := fault.Wrap(fault.Transient, err, "SQS did not confirm a message")
		failed.MaybeApplied = true
		return failed
	}
	return err
}

// Close implements broker.Subscription and broker.Publisher.
func (q *sqsQueue) Close() {
	receipts := make([]string, 0, len(q.open))
	for receipt := range q.open {
		receipts = append(receipts, receipt)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	// What this does not reach comes again after the queue's visibility time-out.
	_ = q.each(ctx, "ChangeMessageVisibilityBatch", receipts, map[string]any{"VisibilityTimeout": 0})
}
