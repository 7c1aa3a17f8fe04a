// Copyright the reprise authors. Distributed under the Boost Software License, Version 1.0.

// Fetches https://localhost:PORT/ as often as each line of its input says, each time on a new connection with the sessions
// of those before, and prints the CPU of its process and the time in microseconds, and how many resumed.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func main() {
	port, caFile, version := os.Args[1], os.Args[2], uint16(tls.VersionTLS12)
	if os.Args[3] == "1.3" {
		version = tls.VersionTLS13
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{
			RootCAs:            roots,
			MinVersion:         version,
			MaxVersion:         version,
			ClientSessionCache: tls.NewLRUClientSessionCache(64),
		},
	}}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		count, err := strconv.Atoi(input.Text())
		if err != nil {
			panic(err)
		}
		resumed := 0
		c, t := cpu(), time.Now()
		for i := 0; i < count; i++ {
			r, err := client.Get("https://localhost:" + port + "/")
			if err != nil {
				panic(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != "ok" {
				panic("nginx says something else")
			}
			r.Body.Close()
			if r.TLS.DidResume {
				resumed++
			}
		}
		fmt.Println((cpu() - c).Microseconds(), time.Since(t).Microseconds(), resumed)
	}
}
