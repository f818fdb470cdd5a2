package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	temporalclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// perRecordQueue is the task queue of the program that is compared with.
const perRecordQueue = "bench-per-record"

// runPerRecord is the usual way to put such work on Temporal, as a program: one
// workflow for each record, with one activity that makes the read and the write.
func runPerRecord(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("perrecord", flag.ContinueOnError)
	left, right := flags.String("left", "", "root of SalesOS"), flags.String("right", "", "root of Acme")
	address := flags.String("temporal", "", "address of Temporal")
	rate := flags.Int("rate", 0, "workflows started a second; 0: as many as 64 callers can")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := newPlain(ctx, *left, *right, 64)
	if err != nil {
		return err
	}
	pairs, err := readPairs(os.Stdin)
	if err != nil {
		return err
	}
	temporal, err := dial(*address)
	if err != nil {
		return err
	}
	defer temporal.Close()
	running := worker.New(temporal, perRecordQueue, worker.Options{MaxConcurrentActivityExecutionSize: 64})
	running.RegisterWorkflow(syncRecord)
	running.RegisterActivity(&recordSteps{p})
	if err := running.Start(); err != nil {
		return err
	}
	defer running.Stop()
	begun, before := time.Now(), ownCPU()
	one := func(i int) error {
		options := temporalclient.StartWorkflowOptions{ID: "bench/" + pairs[i][0] + "/" + fmt.Sprint(begun.UnixNano()), TaskQueue: perRecordQueue}
		started, err := temporal.ExecuteWorkflow(ctx, options, syncRecord, pairs[i])
		if err != nil {
			return err
		}
		return started.Get(ctx, nil)
	}
	many := 64
	if *rate > 0 {
		many = len(pairs) // each begins at its time, however long the others take
	}
	err = sideBySide(len(pairs), many, func(i int) error {
		if *rate > 0 {
			if err := sleep(ctx, time.Until(begun.Add(time.Duration(i)*time.Second/time.Duration(*rate)))); err != nil {
				return err
			}
		}
		return one(i)
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(plainDone{len(pairs), time.Since(begun).Seconds(), (ownCPU() - before).Seconds()})
}

// syncRecord is the workflow of one record.
func syncRecord(ctx workflow.Context, pair [2]string) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var steps *recordSteps
	return workflow.ExecuteActivity(ctx, steps.Copy, pair).Get(ctx, nil)
}

type recordSteps struct{ plain *plain }

// Copy reads a lead and writes its company into its contact.
func (r *recordSteps) Copy(ctx context.Context, pair [2]string) error { return r.plain.copy(ctx, pair) }
