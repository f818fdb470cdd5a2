package client_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/broker/client"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	accessKey = "AKIDEXAMPLE"
	secretKey = "an-aws-secret"
	// visibility is how long the fake keeps a message from others that one has.
	visibility = 5 * time.Second
)

// fakeSQS speaks the JSON protocol of SQS for the calls that are made, and checks
// their signatures by itself.
type fakeSQS struct {
	server *httptest.Server

	mutex  sync.Mutex
	down   bool
	queues map[string][]*fakeMessage
	serial int
}

type fakeMessage struct {
	MessageID         string `json:"MessageId"`
	ReceiptHandle     string
	Body              string
	MessageAttributes map[string]map[string]string
	hidden            time.Time
}

func newSQS(t *testing.T) *fakeSQS {
	f := &fakeSQS{queues: map[string][]*fakeMessage{"/1/crm": {}, "/1/other": {}}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

func (f *fakeSQS) Stop() {
	f.mutex.Lock()
	f.down = true
	f.mutex.Unlock()
	f.server.CloseClientConnections()
}

func (f *fakeSQS) Start(testing.TB) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.down = false
}

type sqsCall struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       string
	MessageAttributes map[string]map[string]string
	Entries           []struct{ ID, ReceiptHandle string }
	WaitTimeSeconds   int
}

func (f *fakeSQS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if why := badSignature(r, body); why != "" {
		refuse(w, http.StatusForbidden, "com.amazon.coral.service#InvalidSignatureException")
		return
	}
	var call sqsCall
	if json.Unmarshal(body, &call) != nil || r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		refuse(w, http.StatusBadRequest, "com.amazon.coral.service#SerializationException")
		return
	}
	queue := strings.TrimPrefix(call.QueueURL, f.server.URL)
	waited := time.Now().Add(time.Duration(call.WaitTimeSeconds) * time.Second)
	for {
		f.mutex.Lock()
		down := f.down
		_, there := f.queues[queue]
		answer := any(nil)
		if !down && there {
			answer = f.do(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS."), queue, call)
		}
		f.mutex.Unlock()
		switch {
		case down:
			http.Error(w, "down", http.StatusServiceUnavailable)
		case !there:
			refuse(w, http.StatusBadRequest, "com.amazonaws.sqs#QueueDoesNotExist")
		case answer == nil && time.Now().Before(waited) && r.Context().Err() == nil:
			time.Sleep(5 * time.Millisecond)
			continue
		case answer == nil:
			_, _ = io.WriteString(w, "{}") // nobody may listen any more
		default:
			_ = json.NewEncoder(w).Encode(answer) // as above
		}
		return
	}
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, kind) // nobody may listen any more
}

// do is one call; nil when there is nothing to receive.
func (f *fakeSQS) do(action, queue string, call sqsCall) any {
	switch action {
	case "SendMessage":
		f.serial++
		f.queues[queue] = append(f.queues[queue], &fakeMessage{MessageID: fmt.Sprintf("sqs-%d", f.serial), Body: call.MessageBody, MessageAttributes: call.MessageAttributes})
		return map[string]any{"MessageId": fmt.Sprintf("sqs-%d", f.serial)}
	case "ReceiveMessage":
		var batch []*fakeMessage
		for _, one := range f.queues[queue] {
			if one.hidden.Before(time.Now()) && len(batch) < 10 {
				f.serial++
				one.ReceiptHandle, one.hidden = fmt.Sprintf("receipt-%d", f.serial), time.Now().Add(visibility)
				batch = append(batch, one)
			}
		}
		if batch == nil {
			return nil
		}
		return map[string]any{"Messages": batch}
	case "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
		for _, entry := range call.Entries {
			f.queues[queue] = slices.DeleteFunc(f.queues[queue], func(one *fakeMessage) bool {
				if one.ReceiptHandle == entry.ReceiptHandle {
					one.hidden = time.Time{}
				}
				return one.ReceiptHandle == entry.ReceiptHandle && action == "DeleteMessageBatch"
			})
		}
		return map[string]any{"Successful": []any{}, "Failed": []any{}}
	}
	return map[string]any{"Attributes": map[string]string{}}
}

// badSignature checks a signature of version 4 as Amazon's pages tell it.
func badSignature(r *http.Request, body []byte) string {
	auth := strings.NewReplacer("AWS4-HMAC-SHA256 ", "", ",", "").Replace(r.Header.Get("Authorization"))
	parts := map[string]string{}
	for _, part := range strings.Fields(auth) {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	scope := strings.Split(parts["Credential"], "/")
	if len(scope) != 5 || scope[0] != accessKey || scope[2] != "eu-west-1" || scope[3] != "sqs" {
		return "credential"
	}
	var canonical strings.Builder
	canonical.WriteString(r.Method + "\n" + r.URL.EscapedPath() + "\n\n")
	for _, name := range strings.Split(parts["SignedHeaders"], ";") {
		value := r.Header.Get(name)
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		canonical.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	sum := sha256.Sum256(body)
	canonical.WriteString("\n" + parts["SignedHeaders"] + "\n" + hex.EncodeToString(sum[:]))
	hashed := sha256.Sum256([]byte(canonical.String()))
	key := []byte("AWS4" + secretKey)
	for _, part := range append(scope[1:], "AWS4-HMAC-SHA256\n"+r.Header.Get("X-Amz-Date")+"\n"+strings.Join(scope[1:], "/")+"\n"+hex.EncodeToString(hashed[:])) {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(part)) // a hash takes everything
		key = mac.Sum(nil)
	}
	if hex.EncodeToString(key) != parts["Signature"] {
		return "signature"
	}
	return ""
}

func TestSQS(t *testing.T) {
	fake := newSQS(t)
	config := broker.Config{Kind: broker.SQS, URL: fake.server.URL + "/1/crm", Region: "eu-west-1", Auth: broker.Auth{Kind: broker.AuthAWS, AccessKeyID: accessKey, SecretAccessKey: secretKey}}
	conforms(t, conformance{server: fake, config: config, topic: config.URL, elsewhere: fake.server.URL + "/1/other"})

	t.Run("what SNS put into the queue", func(t *testing.T) {
		send(t, config, config.URL, `{"Type":"Notification","TopicArn":"arn:x","Message":"[1]"}`)
		from, err := client.Subscribe(t.Context(), config, loopback())
		require.NoError(t, err)
		defer from.Close()
		got := take(t, from, 1)
		require.Equal(t, "[1]", string(got[0].Body))
		require.NoError(t, from.Acknowledge(t.Context(), got))
	})
	for name, one := range map[string]struct {
		edit func(*broker.Config)
		code fault.Code
	}{
		"all there":      {func(*broker.Config) {}, ""},
		"queue":          {func(c *broker.Config) { c.URL = fake.server.URL + "/1/none" }, fault.Usage},
		"secret":         {func(c *broker.Config) { c.Auth.SecretAccessKey = "wrong" }, fault.Auth},
		"region":         {func(c *broker.Config) { c.Region = "us-east-1" }, fault.Auth},
		"nobody answers": {func(c *broker.Config) { c.URL = "http://127.0.0.1:1/1/crm" }, fault.Unavailable},
	} {
		t.Run("what is not there: "+name, func(t *testing.T) {
			config := config
			one.edit(&config)
			checked := client.Check(t.Context(), config, loopback())
			if one.code == "" {
				require.NoError(t, checked)
				return
			}
			require.Equal(t, one.code, fault.CodeOf(checked), "%v", checked)
			_, err := client.Subscribe(t.Context(), config, loopback())
			require.Equal(t, one.code, fault.CodeOf(err), "%v", err)
			require.NotContains(t, err.Error(), secretKey)
		})
	}
}
