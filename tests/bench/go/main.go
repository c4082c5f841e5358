// A router as one writes it first in Go: an informer whose handlers print each state of each event
// to standard output, with the record of heptiolabs/eventrouter. Nothing is acknowledged, buffered
// or remembered. The everyday bench compares the pair with it.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

type record struct {
	Verb     string        `json:"verb"`
	Event    *corev1.Event `json:"event"`
	OldEvent *corev1.Event `json:"old_event,omitempty"`
}

func show(r record) {
	line, err := json.Marshal(r)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	contentType := flag.String("content-type", runtime.ContentTypeJSON,
		"how events come over the wire; the routers in use were built when client-go asked for JSON")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.ContentType = *contentType
	factory := informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(config), 0)
	_, err = factory.Core().V1().Events().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(event any) {
			show(record{Verb: "ADDED", Event: event.(*corev1.Event)})
		},
		UpdateFunc: func(before, after any) {
			show(record{Verb: "UPDATED", Event: after.(*corev1.Event), OldEvent: before.(*corev1.Event)})
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan struct{})
	factory.Start(stop)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	close(stop)
}
