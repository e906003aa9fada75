// An echo server of the Go module coder/websocket: PORT [CERT KEY], or its clients: see client.go.
//
// The query of a URL chooses the compression of the connection: ?takeover, ?no_takeover, or none.
// With ?parts each message goes back in frames of its compressor's making.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
)

const deadline = 20 * time.Second

// Without a name of its own there is no compression.
var modes = map[string]websocket.CompressionMode{
	"takeover":    websocket.CompressionContextTakeover,
	"no_takeover": websocket.CompressionNoContextTakeover,
}

func echo(w http.ResponseWriter, r *http.Request) {
	mode := websocket.CompressionDisabled
	for name := range r.URL.Query() {
		if chosen, there := modes[name]; there {
			mode = chosen
		}
	}
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{"chat"}, CompressionMode: mode, CompressionThreshold: 1})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for {
		kind, message, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if r.URL.Query().Has("parts") {
			err = writeParts(r.Context(), c, kind, message)
		} else {
			err = c.Write(r.Context(), kind, message)
		}
		if err != nil {
			return
		}
	}
}

func writeParts(ctx context.Context, c *websocket.Conn, kind websocket.MessageType,
	pieces ...[]byte) error {
	w, err := c.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if _, err = w.Write(piece); err != nil {
			return err
		}
	}
	return w.Close()
}

func main() {
	if os.Args[1] == "clients" {
		runClients(os.Stdin)
		return
	}
	http.HandleFunc("/", echo)
	address := "127.0.0.1:" + os.Args[1]
	if len(os.Args) > 3 {
		log.Fatal(http.ListenAndServeTLS(address, os.Args[2], os.Args[3], nil))
	}
	log.Fatal(http.ListenAndServe(address, nil))
}
