/** What a person says of an item: it wins over what is observed. */
import { Select, TagsInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { peopleQuery, teamsQuery } from '@/api/access';
import { type ItemDetail, type ItemPatch, patchItem } from '@/api/inventory';
import { FormDialog } from '@/parts/dialog';
import { parseTags } from '@/parts/tags';
import { say } from '@/parts/toast';

export function EditDialog({ item, close }: { item: ItemDetail; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(item.name);
  const [owner, setOwner] = useState(item.owner);
  const [team, setTeam] = useState(item.team);
  const people = useQuery({ ...peopleQuery, retry: false }).data?.items ?? [];
  const teams = useQuery({ ...teamsQuery, retry: false }).data?.items ?? [];
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
      refusal={parsed ? null : 'Use tags as name=value.'}
      submit={async () => {
        const patch: ItemPatch = { tags: parsed ?? {}, owner };
        if (team !== item.team) patch.team = team;
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
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <Select
              className="grow"
              label="Owner"
              placeholder="No owner"
              searchable
              clearable
              data={people.map((p) => ({ value: p.id, label: p.name }))}
              value={owner}
              onChange={setOwner}
              error={fault('owner')}
            />
            <Select
              className="grow"
              label="Team"
              placeholder="Inherited from its parent"
              searchable
              clearable
              data={teams.map((t) => ({ value: t.id, label: t.name }))}
              value={team}
              onChange={setTeam}
              error={fault('team')}
            />
          </div>
          <TagsInput
            label="Tags"
            description="name=value, then Enter."
            value={tags}
            onChange={setTags}
            error={fault('tags') ?? (parsed ? null : 'use name=value')}
          />
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <TextInput
              label="Attribute to set manually"
              value={attribute}
              onChange={(e) => setAttribute(e.currentTarget.value)}
              error={fault('attributes')}
            />
            <TextInput
              className="grow"
              label="Value (empty: remove)"
              value={value}
              onChange={(e) => setValue(e.currentTarget.value)}
            />
          </div>
        </>
      )}
    </FormDialog>
  );
}
