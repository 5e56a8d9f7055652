// Lines with bufio, a goroutine for each connection, on one core.
//
//	lines <port of 127.0.0.1>
package main

import (
	"bufio"
	"log"
	"net"
	"os"
	"runtime"
)

// Go sets TCP_NODELAY by itself.
func echo(connection net.Conn) {
	defer connection.Close()
	reader := bufio.NewReader(connection)
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return
		}
		if _, err := connection.Write(line); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(connection)
	}
}
