// SPDX-License-Identifier: Apache-2.0

// The same checks by Go's net/http, as one would write it: one shared Transport without keep-alives,
// a goroutine for each check in flight. It takes the flags of bench/load.h and prints the same line.
//
// Names are turned into addresses by arithmetic in DialContext, so no resolver is measured: Go's own
// has no cache. A request has a deadline, as the engine's checks have; its body is read to the end and
// its status looked at.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type load struct {
	label, base, domain, ca      string
	https, literal, bare         bool
	config                       *tls.Config
	sites, port, inFlight        int
	checks, warmUp               int64
	rate, timeLimit              float64
	first                        uint32
	finished, failed             int64
	paced, measured, measuredEnd time.Time
	paceOnce                     sync.Once
	cpuBegin, cpuEnd             syscall.Rusage
	mu                           sync.Mutex
	done                         chan struct{}
}

func (l *load) read() {
	flag.StringVar(&l.label, "label", "go", "names the row")
	flag.BoolVar(&l.https, "https", false, "")
	flag.BoolVar(&l.literal, "literal", false, "URLs with addresses instead of names")
	flag.IntVar(&l.sites, "sites", 20000, "")
	flag.StringVar(&l.base, "base", "127.64.0.1", "the first site's address")
	flag.StringVar(&l.domain, "domain", "fleet.test", "")
	flag.IntVar(&l.port, "port", 18080, "")
	flag.StringVar(&l.ca, "ca", "", "trusted certificates")
	flag.String("resolver", "", "ignored: see above")
	flag.Int("dns-cache", 0, "ignored: see above")
	flag.IntVar(&l.inFlight, "in-flight", 100, "")
	flag.Int64Var(&l.checks, "checks", 20000, "")
	flag.Int64Var(&l.warmUp, "warm-up", 2000, "checks before the measured ones")
	flag.Float64Var(&l.rate, "rate", 0, "starts a second; 0: as fast as it goes")
	flag.Float64Var(&l.timeLimit, "time-limit", 60, "seconds")
	flag.BoolVar(&l.bare, "bare", false, "crypto/tls alone, without net/http")
	flag.Parse()
	ip := net.ParseIP(l.base).To4()
	if ip == nil || flag.NArg() > 0 || (l.bare && !l.https) {
		fmt.Fprintln(os.Stderr, "go_client: wrong flags")
		os.Exit(2)
	}
	l.first = uint32(ip[0])<<24 | uint32(ip[1])<<16 | uint32(ip[2])<<8 | uint32(ip[3])
	l.done = make(chan struct{})
}

func (l *load) address(site int) net.IP {
	a := l.first + uint32(site)
	return net.IPv4(byte(a>>24), byte(a>>16), byte(a>>8), byte(a))
}

func (l *load) url(site int) string {
	scheme, host := "http://", ""
	if l.https {
		scheme = "https://"
	}
	if l.literal {
		host = l.address(site).String()
	} else {
		host = "s" + strconv.Itoa(site) + "." + l.domain
	}
	return scheme + host + ":" + strconv.Itoa(l.port) + "/"
}

// Connects to the address of the site that the name stands for.
func (l *load) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	if !l.literal {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		site, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(host, "s"), "."+l.domain))
		if err != nil {
			return nil, err
		}
		addr = net.JoinHostPort(l.address(site).String(), port)
	}
	return dialer.DialContext(ctx, network, addr)
}

func (l *load) client() *http.Client {
	transport := &http.Transport{DialContext: l.dial, DisableKeepAlives: true, DisableCompression: false}
	if l.https {
		pem, err := os.ReadFile(l.ca)
		if err != nil {
			fmt.Fprintln(os.Stderr, "go_client:", err)
			os.Exit(3)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		l.config = &tls.Config{RootCAs: roots}
		transport.TLSClientConfig = l.config
	}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func (l *load) check(client *http.Client, site int) bool {
	response, err := client.Get(l.url(site))
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	return err == nil && response.StatusCode == 200
}

// The least that Go can do over TLS: handshake and verification by crypto/tls, a request by hand, everything read, the status
// looked at. No deadlines.
func (l *load) bareCheck(site int) bool {
	host := "s" + strconv.Itoa(site) + "." + l.domain
	port := strconv.Itoa(l.port)
	plain, err := net.Dial("tcp", net.JoinHostPort(l.address(site).String(), port))
	if err != nil {
		return false
	}
	config := l.config.Clone()
	config.ServerName = host
	conn := tls.Client(plain, config)
	defer conn.Close()
	request := "GET / HTTP/1.1\r\nHost: " + host + ":" + port + "\r\nUser-Agent: bare\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if _, err = conn.Write([]byte(request)); err != nil {
		return false
	}
	buffer := make([]byte, 16384)
	good := false
	for first := true; ; first = false {
		got, err := conn.Read(buffer)
		if first {
			good = strings.HasPrefix(string(buffer[:got]), "HTTP/1.1 200")
		}
		if err != nil {
			return good && err == io.EOF
		}
	}
}

func (l *load) onResult(good bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finished++
	if !good {
		l.failed++
	}
	if l.finished == l.warmUp {
		l.beginMeasuring()
	}
	if l.finished == l.warmUp+l.checks {
		syscall.Getrusage(syscall.RUSAGE_SELF, &l.cpuEnd)
		l.measuredEnd = time.Now()
		close(l.done)
	}
}

func (l *load) beginMeasuring() {
	l.measured = time.Now()
	syscall.Getrusage(syscall.RUSAGE_SELF, &l.cpuBegin)
}

// Measured checks start at their rate; those before them as fast as it goes.
func (l *load) waitForTurn(measured int64) {
	if l.rate <= 0 || measured < 0 {
		return
	}
	l.paceOnce.Do(func() { l.paced = time.Now() })
	time.Sleep(time.Until(l.paced.Add(time.Duration(float64(measured) / l.rate * 1e9))))
}

func (l *load) run() {
	client := l.client()
	total := l.warmUp + l.checks
	var next int64
	if l.warmUp == 0 {
		l.beginMeasuring()
	}
	for i := 0; i < l.inFlight; i++ {
		go func() {
			for {
				n := atomic.AddInt64(&next, 1) - 1
				if n >= total {
					return
				}
				l.waitForTurn(n - l.warmUp)
				site := int(n % int64(l.sites))
				if l.bare {
					l.onResult(l.bareCheck(site))
				} else {
					l.onResult(l.check(client, site))
				}
			}
		}()
	}
}

func micros(from, to syscall.Timeval, checks int64) float64 {
	us := float64(to.Sec-from.Sec)*1e6 + float64(to.Usec-from.Usec)
	return math.Round(us/float64(checks)*100) / 100
}

func (l *load) report(brokenOff bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	user := micros(l.cpuBegin.Utime, l.cpuEnd.Utime, l.checks)
	system := micros(l.cpuBegin.Stime, l.cpuEnd.Stime, l.checks)
	line, _ := json.Marshal(struct {
		Client    string  `json:"client"`
		Checks    int64   `json:"checks"`
		Failed    int64   `json:"failed"`
		BrokenOff bool    `json:"broken_off"`
		User      float64 `json:"user_us"`
		System    float64 `json:"system_us"`
		Cpu       float64 `json:"cpu_us"`
		Wall      float64 `json:"wall_s"`
		PeakRss   int64   `json:"peak_rss_kib"`
	}{l.label, l.checks, l.failed, brokenOff, user, system, user + system,
		l.measuredEnd.Sub(l.measured).Seconds(), usage.Maxrss})
	fmt.Println(string(line))
	if brokenOff || l.failed > 0 {
		return 1
	}
	return 0
}

func main() {
	l := &load{}
	l.read()
	l.run()
	brokenOff := false
	select {
	case <-l.done:
	case <-time.After(time.Duration(l.timeLimit * float64(time.Second))):
		brokenOff = true
	}
	os.Exit(l.report(brokenOff))
}
