/** What a person says of an item: it wins over what is observed. */
import { TagsInput, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type ItemDetail, type ItemPatch, patchItem } from '@/api/inventory';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';

/** `env=prod` and the like; null when one is not of that form. */
export function parseTags(list: string[]): Record<string, string> | null {
  const tags: Record<string, string> = {};
  for (const text of list) {
    const at = text.indexOf('=');
    if (at < 1) return null;
    tags[text.slice(0, at).trim()] = text.slice(at + 1).trim();
  }
  return tags;
}

export function EditDialog({ item, close }: { item: ItemDetail; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(item.name);
  const [owner, setOwner] = useState(item.owner ?? '');
  const [tags, setTags] = useState(Object.entries(item.own_tags).map(([k, v]) => `${k}=${v}`));
  const [attribute, setAttribute] = useState('');
  const [value, setValue] = useState('');
  const parsed = parseTags(tags);
  return (
    <FormDialog
      title={`Edit ${item.name}`}
      open
      close={close}
      verb="Save"
      refusal={parsed ? null : 'Write tags as name=value.'}
      submit={async () => {
        const patch: ItemPatch = { tags: parsed ?? {}, owner: owner.trim() || null };
        if (name !== item.name) patch.name = name;
        if (attribute.trim()) patch.attributes = { [attribute.trim()]: value === '' ? null : value };
        await patchItem(item.id, patch);
        void queries.invalidateQueries({ queryKey: ['items'] });
        say('Saved');
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
            error={fault('name')}
            data-autofocus
          />
          <TextInput
            label="Owner"
            description="Id of the person who answers for it."
            value={owner}
            onChange={(e) => setOwner(e.currentTarget.value)}
            error={fault('owner')}
          />
          <TagsInput
            label="Tags"
            description="name=value, then Enter."
            value={tags}
            onChange={setTags}
            error={fault('tags') ?? (parsed ? null : 'write name=value')}
          />
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <TextInput
              label="Attribute to set by hand"
              value={attribute}
              onChange={(e) => setAttribute(e.currentTarget.value)}
              error={fault('attributes')}
            />
            <TextInput
              className="grow"
              label="Value (empty withdraws it)"
              value={value}
              onChange={(e) => setValue(e.currentTarget.value)}
            />
          </div>
        </>
      )}
    </FormDialog>
  );
}
