{% test refers_to(model, references, batch_column=none, month_column=none) %}

with

keys as (

    select
        {% for reference in references %}{{ reference.column }}, {% endfor -%}
        count(*) as rows_with_these_keys

    from {{ model }}

    where {{ is_audited(batch_column, month_column) }}

    group by {{ references | map(attribute='column') | join(', ') }}

)

select keys.*

from keys
{% for reference in references %}
left join {{ reference.to }} as parent_{{ loop.index }}
    on keys.{{ reference.column }} = parent_{{ loop.index }}.{{ reference.field }}
{% endfor %}
where
    {% for reference in references -%}
    parent_{{ loop.index }}.{{ reference.field }} is null
    {{- ' or ' if not loop.last }}
    {%- endfor %}

{% endtest %}
