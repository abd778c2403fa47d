-- If this warns, sales count for a customer, seller, store or product that the database
-- does not know yet.
{{ config(severity='warn') }}

{%- set keys = [
    ('customer', 'customers_data_mart', 'customer_id', 'sales_date_month',
        'not is_known_customer'),
    ('seller', 'sales_team_data_mart', 'sales_person_id', 'sales_month',
        'not is_known_sales_person'),
    ('store', 'sales_team_data_mart', 'store_id', 'sales_month', 'not is_known_store'),
    ('product', 'rpt_sales_by_product_and_month', 'product_name', 'sales_month',
        'product_key = -1'),
] %}

with

months as (
    {% for dimension, relation, key, month, is_unknown in keys %}
    select
        '{{ dimension }}' as dimension,
        cast({{ key }} as string) as key_value,
        sales_count,
        total_sales
    from {{ ref(relation) }}
    where {{ is_unknown }} and {{ is_in_touched_month(month) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

)

select
    dimension,
    key_value,
    sum(sales_count) as sales_count,
    sum(total_sales) as total_sales

from months

group by
    dimension,
    key_value
