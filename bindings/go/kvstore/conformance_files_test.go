package kvstore

// The operations of the conformance cases on a store's files.

import "fmt"

func (c *conformanceCall) sync() (answer, error) {
	return asAnswer(c.run.store.Sync()), nil
}

func (c *conformanceCall) snapshot() (answer, error) {
	var meta SnapshotMeta
	var err error
	if len(c.arguments) == 0 {
		meta, err = c.run.store.Snapshot()
	} else {
		paths, wrong := c.bytes(1)
		if wrong != nil {
			return answer{}, wrong
		}
		meta, err = c.run.store.SnapshotTo(c.run.path(string(paths[0])))
	}
	return asAnswer(err).with("entries", meta.EntryCount), nil
}

func (c *conformanceCall) restore() (answer, error) {
	paths, err := c.bytes(1)
	if err != nil {
		return answer{}, err
	}
	return asAnswer(c.run.store.Restore(c.run.path(string(paths[0])))), nil
}

func (c *conformanceCall) recovery() (answer, error) {
	if len(c.arguments) != 0 {
		return answer{}, fmt.Errorf("recovery takes nothing")
	}
	report, err := c.run.store.Recovery()
	return asAnswer(err).with("snapshot_revision", int64(report.SnapshotRevision)).
		with("last_revision", int64(report.LastRevision)).with("records", int64(report.Records)).
		with("discarded_bytes", int64(report.DiscardedBytes)), nil
}
