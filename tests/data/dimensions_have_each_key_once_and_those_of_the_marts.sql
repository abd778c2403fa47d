-- If this fails, a join with a dimension multiplies sales, or a mart shows as known
-- what its dimension has not. One query, for it runs in every build.
{%- set keys = [
    ('dim_customers', 'customer_id', 'true'),
    ('dim_products', 'product_id', 'true'),
    ('dim_products', 'product_name', 'is_sold_under_name'),
    ('dim_stores', 'store_id', 'true'),
    ('dim_sales_people', 'sales_person_id', 'true'),
] %}
{#- by mart, its key of a dimension, and the condition under which it has one -#}
{%- set keys_of_marts = [
    ('customers_data_mart', 'sales_date_month', 'customer_id', 'is_known_customer',
        'dim_customers', 'customer_id'),
    ('sales_team_data_mart', 'sales_month', 'sales_person_id', 'is_known_sales_person',
        'dim_sales_people', 'sales_person_id'),
    ('sales_team_data_mart', 'sales_month', 'store_id', 'is_known_store',
        'dim_stores', 'store_id'),
    ('rpt_sales_by_product_and_month', 'sales_month', 'product_key', 'true',
        'dim_products', 'product_id'),
] %}

with

members as (
    {% for dimension, key, condition in keys %}
    select
        '{{ dimension }}' as dimension,
        '{{ key }}' as key_column,
        cast({{ key }} as string) as key_value,
        1 as members
    from {{ ref(dimension) }}
    where {{ condition }}
    union all
    {%- endfor %}
    {% for mart, month, key, condition, dimension, dimension_key in keys_of_marts %}
    select
        '{{ dimension }}' as dimension,
        '{{ dimension_key }}' as key_column,
        cast({{ key }} as string) as key_value,
        0 as members
    from {{ ref(mart) }}
    where {{ condition }} and {{ is_in_touched_month(month) }}
    group by {{ key }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    dimension,
    key_column,
    key_value,
    sum(members) as members

from members

group by
    dimension,
    key_column,
    key_value

having
    sum(members) <> 1
    or key_value is null
