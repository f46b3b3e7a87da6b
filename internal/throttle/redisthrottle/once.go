package redisthrottle

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// moving is how long a call waits for a slot of a Cluster that is on its way to
// another shard, before it asks again.
const moving = 10 * time.Millisecond

// once sends scripts at most once. The client repeats a command whose reply it
// did not get, and nobody knows then whether the server carried it out: a
// failure would count twice, or be given back twice. What a server of a Cluster
// refused, because the keys are elsewhere or on their way, is sent again.
type once struct{ redis.UniversalClient }

// Eval implements [redis.Scripter].
func (o once) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return o.call(ctx, "eval", script, keys, args)
}

// EvalSha implements [redis.Scripter].
func (o once) EvalSha(ctx context.Context, sha1 string, keys []string, args ...any) *redis.Cmd {
	return o.call(ctx, "evalsha", sha1, keys, args)
}

func (o once) call(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	all := make([]any, 0, 3+len(keys)+len(args))
	all = append(all, name, script, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	all = append(all, args...)
	for {
		cmd := redis.NewCmd(ctx, all...)
		cmd.SetFirstKeyPos(3)
		err := o.Process(ctx, unrepeatable{cmd})
		if !redis.HasErrorPrefix(err, "TRYAGAIN") {
			return cmd // it has its error
		}
		select {
		case <-time.After(moving):
		case <-ctx.Done():
			return cmd
		}
	}
}

// unrepeatable is a command that the client does not send again.
type unrepeatable struct{ *redis.Cmd }

// NoRetry implements [redis.Cmder].
func (unrepeatable) NoRetry() bool { return true }
