{% test is_keyed_by(
    model, columns, promises=[], condition='true', batch_column=none, month_column=none
) %}

{%- set checks = ["'; '"] -%}
{%- for promise in promises -%}
    {%- do checks.append(
        'if(bool_and(coalesce(' ~ promise ~ ', false)), null, ' ~ text_literal(promise) ~ ')'
    ) -%}
{%- endfor %}

with

keys as (

    select
        {{ columns | join(', ') }},
        count(*) as rows_with_this_key,
        concat_ws({{ checks | join(', ') }}) as broken_promises

    from {{ model }}

    where {{ is_audited(batch_column, month_column) }} and {{ condition }}

    group by {{ columns | join(', ') }}

)

select *

from keys

where
    rows_with_this_key > 1
    or broken_promises <> ''
    {% for column in columns -%}
    or {{ column }} is null
    {% endfor %}

{% endtest %}
