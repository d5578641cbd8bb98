/** A thing that no agent tells of: a switch, a contract, a service bought elsewhere. */
import { Autocomplete, TagsInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { createItem } from '@/api/inventory';
import { FormDialog } from '@/parts/dialog';
import { parseTags } from '@/parts/tags';
import { say } from '@/parts/toast';

export function AddItem({ kinds, close }: { kinds: string[]; close: () => void }) {
  const queries = useQueryClient();
  const router = useRouter();
  const [kind, setKind] = useState('service');
  const [name, setName] = useState('');
  const [tags, setTags] = useState<string[]>([]);
  const parsed = parseTags(tags);
  return (
    <FormDialog
      title="Add item"
      open
      close={close}
      verb="Add item"
      refusal={parsed ? null : 'Use tags as name=value.'}
      submit={async () => {
        const made = await createItem({ kind: kind.trim(), name, tags: parsed ?? {} });
        void queries.invalidateQueries({ queryKey: ['items'] });
        say('Added; add its relations next');
        router.history.push(`/items/${made.id}`);
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            required
            data-autofocus
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            error={fault('name')}
          />
          <Autocomplete
            label="Kind"
            description="An existing kind or a new one: lower-case letters, digits and _."
            required
            data={kinds}
            value={kind}
            onChange={setKind}
            error={fault('kind')}
          />
          <TagsInput
            label="Tags"
            placeholder="env=prod"
            value={tags}
            onChange={setTags}
            error={fault('tags') ?? (parsed ? null : 'use name=value')}
          />
        </>
      )}
    </FormDialog>
  );
}
