-- If this fails, a join with a dimension multiplies sales. One query, for it runs in
-- every build.
{%- set keys = [
    ('dim_customers', 'customer_id', 'true'),
    ('dim_products', 'product_id', 'true'),
    ('dim_products', 'product_name', 'is_sold_under_name'),
    ('dim_stores', 'store_id', 'true'),
    ('dim_sales_people', 'sales_person_id', 'true'),
] %}

with

members as (
    {% for dimension, key, condition in keys %}
    select
        '{{ dimension }}' as dimension,
        '{{ key }}' as key_column,
        cast({{ key }} as string) as key_value
    from {{ ref(dimension) }}
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    dimension,
    key_column,
    key_value,
    count(*) as members

from members

group by
    dimension,
    key_column,
    key_value

having
    count(*) > 1
    or key_value is null
