// Package client is the server seen by go-redis. The address of a server that is empty and may be changed is in
// KV_ADDRESS.
package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is longer than any answer takes on a busy machine.
const patience = time.Minute

// dial opens a client of one version of the protocol, and empties the server.
func dial(t *testing.T, protocol int) (*redis.Client, context.Context) {
	t.Helper()
	address := os.Getenv("KV_ADDRESS")
	if address == "" {
		t.Fatal("KV_ADDRESS is not set: run this as `cargo xtask test server`")
	}
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: protocol, ReadTimeout: patience})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(func() {
		cancel()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, client.FlushAll(ctx).Err())
	return client, ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// both runs a test with RESP2 and with RESP3.
func both(t *testing.T, test func(t *testing.T, client *redis.Client, ctx context.Context)) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			client, ctx := dial(t, protocol)
			test(t, client, ctx)
		})
	}
}

func TestStringsAndDeadlines(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client, ctx context.Context) {
		must(t, client.Set(ctx, "a", "1", time.Hour).Err())
		equal(t, client.Get(ctx, "a").Val(), "1")
		if left := client.TTL(ctx, "a").Val(); left <= 59*time.Minute || left > time.Hour {
			t.Fatalf("the TTL is %v", left)
		}
		must(t, client.SetArgs(ctx, "a", "2", redis.SetArgs{KeepTTL: true}).Err())
		equal(t, client.SetNX(ctx, "a", "3", 0).Val(), false)
		equal(t, client.IncrBy(ctx, "a", 40).Val(), 42)
		equal(t, client.TTL(ctx, "absent").Val(), -2)
		equal(t, client.Del(ctx, "a", "absent").Val(), 1)
		if err := client.Get(ctx, "a").Err(); !errors.Is(err, redis.Nil) {
			t.Fatalf("an absent key gave %v", err)
		}
		if err := client.LPush(ctx, "l", 1).Err(); err == nil {
			t.Fatal("a list was made")
		}
	})
}

func TestPipelinesAndTransactions(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client, ctx context.Context) {
		replies, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for n := range 1000 {
				pipe.Set(ctx, fmt.Sprint("k", n), n, 0)
			}
			pipe.DBSize(ctx)
			return nil
		})
		must(t, err)
		equal(t, replies[1000].(*redis.IntCmd).Val(), 1000)
		// Clients that add at the same time, each by reading and writing under a watch, lose no sum.
		must(t, client.Set(ctx, "sum", 0, 0).Err())
		add := func(tx *redis.Tx) error {
			sum, err := tx.Get(ctx, "sum").Int()
			if err != nil {
				return err
			}
			_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
				return pipe.Set(ctx, "sum", sum+1, 0).Err()
			})
			return err
		}
		var group sync.WaitGroup
		for range 4 {
			group.Add(1)
			go func() {
				defer group.Done()
				for done := 0; done < 25; {
					switch err := client.Watch(ctx, add, "sum"); {
					case err == nil:
						done++
					case !errors.Is(err, redis.TxFailedErr):
						t.Error(err)
						return
					}
				}
			}()
		}
		group.Wait()
		equal(t, client.Get(ctx, "sum").Val(), "100")
	})
}

func TestScan(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client, ctx context.Context) {
		var pairs, want []string
		for n := range 300 {
			key := fmt.Sprintf("user:%03d", n)
			pairs, want = append(pairs, key, "x"), append(want, key)
		}
		must(t, client.MSet(ctx, append(pairs, "other", "x")).Err())
		var found []string
		keys := client.Scan(ctx, 0, "user:*", 20).Iterator()
		for keys.Next(ctx) {
			found = append(found, keys.Val())
		}
		must(t, keys.Err())
		slices.Sort(found)
		if found = slices.Compact(found); !slices.Equal(found, want) {
			t.Fatalf("found %d keys", len(found))
		}
	})
}

func TestMessages(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client, ctx context.Context) {
		news := client.Subscribe(ctx, "news")
		defer news.Close()
		if _, err := news.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"one", "two"} {
			equal(t, client.Publish(ctx, "news", text).Val(), 1)
			message, err := news.ReceiveMessage(ctx)
			must(t, err)
			equal(t, message.Payload, text)
		}
	})
}
