// io.Copy from a connection to itself, on one core. On Linux the bytes stay in the kernel (splice).
//
//	copy <port of 127.0.0.1>
package main

import (
	"io"
	"log"
	"net"
	"os"
	"runtime"
)

func echo(connection net.Conn) {
	defer connection.Close()
	io.Copy(connection, connection)
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
