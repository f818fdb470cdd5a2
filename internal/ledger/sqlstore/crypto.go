package sqlstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"io"

	"github.com/accord-sync/accord/internal/fault"
)

// box seals values with AES-256-GCM. A sealed value is
// version (1 byte) | key id (4) | nonce (12) | ciphertext and tag, and bound to
// the place it was made for, so that it cannot be moved to another tenant or row.
type box struct {
	aead   cipher.AEAD
	id     [4]byte
	random io.Reader
}

const (
	sealVersion = 1
	sealHeader  = 1 + 4 + 12
)

func newBox(key []byte, random io.Reader) (*box, error) {
	if len(key) != 32 {
		return nil, fault.New(fault.Usage, "the encryption key of the ledger must be 32 bytes, not %d", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the encryption key cannot be used")
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the encryption key cannot be used")
	}
	sum := sha256.Sum256(append([]byte("accord ledger key id\x00"), key...))
	b := &box{aead: aead, random: random}
	copy(b.id[:], sum[:])
	return b, nil
}

// place is what a sealed value is bound to.
func place(table, tenant, id string) []byte { return []byte(table + "\x00" + tenant + "\x00" + id) }

// seal encrypts plain; nil stays nil (NULL).
func (b *box) seal(plain, place []byte) ([]byte, error) {
	if plain == nil {
		return nil, nil
	}
	sealed := make([]byte, sealHeader, sealHeader+len(plain)+b.aead.Overhead())
	sealed[0] = sealVersion
	copy(sealed[1:5], b.id[:])
	if _, err := io.ReadFull(b.random, sealed[5:sealHeader]); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "no randomness to encrypt with")
	}
	return b.aead.Seal(sealed, sealed[5:sealHeader], plain, place), nil
}

// open decrypts what seal made for the same place.
func (b *box) open(sealed, place []byte) ([]byte, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	if len(sealed) < sealHeader || sealed[0] != sealVersion {
		return nil, fault.New(fault.Internal, "a value in the ledger is not sealed as it should be")
	}
	if !bytes.Equal(sealed[1:5], b.id[:]) {
		return nil, fault.New(fault.Usage, "the ledger was encrypted with another key; start with the key it was made with (ACCORD_KEY)")
	}
	plain, err := b.aead.Open(nil, sealed[5:sealHeader], sealed[sealHeader:], place)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a value in the ledger was damaged or moved: it does not decrypt")
	}
	return plain, nil
}

// sealJSON seals the JSON of value.
func (b *box) sealJSON(value any, place []byte) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a value cannot be written as JSON")
	}
	return b.seal(plain, place)
}

// openJSON decrypts into target; NULL leaves it as it is. Numbers become
// json.Number, so that they keep their digits.
func (b *box) openJSON(sealed, place []byte, target any) error {
	plain, err := b.open(sealed, place)
	if err != nil || plain == nil {
		return err
	}
	return decodeJSON(plain, target)
}

func decodeJSON(text []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(target); err != nil {
		return fault.Wrap(fault.Internal, err, "a value in the ledger is not the JSON it should be")
	}
	return nil
}
