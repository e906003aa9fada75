// Clients, one for each line of the input: see test_deflate_clients.py.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/coder/websocket"
)

type testCase struct {
	URL      string           `json:"url"`
	Offer    *map[string]bool `json:"offer"`
	Messages string           `json:"messages"`
}

type report struct {
	Answer *string `json:"answer"`
	Sends  *string `json:"sends"` // it does not tell
	Wrong  *string `json:"wrong"`
}

// A message in pieces; encoding/json reads base64 into []byte.
type message struct {
	Text   []string `json:"text"`
	Binary [][]byte `json:"binary"`
}

func (m message) kind() websocket.MessageType {
	if m.Text != nil {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

func (m message) pieces() [][]byte {
	pieces := m.Binary
	for _, text := range m.Text {
		pieces = append(pieces, []byte(text))
	}
	return pieces
}

func readMessages(path string) (messages []message, err error) {
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &messages)
	}
	return
}

func (t testCase) mode() websocket.CompressionMode {
	if t.Offer == nil {
		return websocket.CompressionDisabled
	}
	if (*t.Offer)["client_no_context_takeover"] {
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionContextTakeover
}

func send(ctx context.Context, c *websocket.Conn, messages []message) error {
	for _, m := range messages {
		pieces := m.pieces()
		var err error
		if len(pieces) == 1 {
			err = c.Write(ctx, m.kind(), pieces[0])
		} else {
			err = writeParts(ctx, c, m.kind(), pieces...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func receive(ctx context.Context, c *websocket.Conn, messages []message) error {
	for i, m := range messages {
		kind, got, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if kind != m.kind() || !bytes.Equal(got, bytes.Join(m.pieces(), nil)) {
			return fmt.Errorf("message %d", i)
		}
	}
	return nil
}

func run(t testCase, r *report) error {
	messages, err := readMessages(t.Messages)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	c, response, err := websocket.Dial(ctx, t.URL, &websocket.DialOptions{
		CompressionMode: t.mode(), CompressionThreshold: 1})
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if answer := response.Header.Get("Sec-WebSocket-Extensions"); answer != "" {
		r.Answer = &answer
	}
	c.SetReadLimit(-1)
	sent := make(chan error, 1)
	go func() { sent <- send(ctx, c, messages) }()
	if err = receive(ctx, c, messages); err != nil {
		return err
	}
	if err = <-sent; err != nil {
		return err
	}
	return c.Close(websocket.StatusNormalClosure, "")
}

func runClients(input io.Reader) {
	lines := bufio.NewScanner(input)
	for lines.Scan() {
		var t testCase
		var r report
		err := json.Unmarshal(lines.Bytes(), &t)
		if err == nil {
			err = run(t, &r)
		}
		if err != nil {
			text := err.Error()
			r.Wrong = &text
		}
		line, _ := json.Marshal(r)
		fmt.Println(string(line))
	}
}
